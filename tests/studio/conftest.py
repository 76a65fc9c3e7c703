"""A studio for each file of tests, and somebody who visits it."""

import pytest

from studios import Studio


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    found = Studio(tmp_path_factory.mktemp("studio"))
    yield found
    found.stop()


@pytest.fixture
def visitor(studio):
    with studio.visitor() as found:
        found.get("/api/about")
        yield found
