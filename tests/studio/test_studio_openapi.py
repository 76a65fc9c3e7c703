"""What the studio says of its interface is true: schemathesis asks what the description allows, and more.

PHOSPHENE_TEST_EXAMPLES=200 asks for so many examples of each operation, which takes minutes.
"""

import contextlib
import os
import re
from html.parser import HTMLParser

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from studios import PHOTO, SMALL, ended

EXAMPLES = int(os.environ.get("PHOSPHENE_TEST_EXAMPLES", "4"))
# A schema can't say which bytes are a picture, which networks are here, or that a dream needs a photo.
UNSAID = [checks.positive_data_acceptance]


@pytest.fixture(scope="module")
def visitor(studio):
    """A session with an upload and a dream that is done."""
    with studio.visitor() as first, requests.Session() as found:
        upload = first.post("/api/uploads?name=a.jpg", content=PHOTO.read_bytes()).json()["id"]
        body = {"photo": upload, "settings": {**SMALL, "max_size": 32, "steps": 1, "octaves": 1}}
        found.job = first.post("/api/jobs", json=body).json()["id"]
        assert ended(first, found.job)["state"] == "done"
        found.upload = upload
        found.cookies.update(dict(first.cookies))
        yield found


def asked(case, visitor, mode):
    """The answer, with what there really is in the place of most ids."""
    parameters, real = case.path_parameters or {}, visitor.upload if "uploads" in case.path else visitor.job
    if case.method != "DELETE" and re.fullmatch("[0-9a-f]{32}", str(parameters.get("key"))):
        parameters["key"] = real
    if mode is GenerationMode.POSITIVE:
        if case.path == "/api/compare":
            case.query = {"a": visitor.job, "b": visitor.job}
        if len(parameters.get("name", "")) % 2:
            parameters["name"] = SMALL["model"]
    case.call_and_validate(session=visitor, excluded_checks=UNSAID, timeout=60)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_it_answers_as_described(studio, visitor, mode):
    described = schemathesis.openapi.from_url(f"{studio.url}/api/openapi.json")
    for operation in described.get_all_operations():
        operation = operation.ok()

        @given(operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=EXAMPLES,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def ask(case):
            asked(case, visitor, mode)

        with contextlib.suppress(Unsatisfiable):  # nothing can be wrong where nothing is asked
            ask()


def test_operations_have_names_of_their_own(studio):
    paths = httpx.get(f"{studio.url}/api/openapi.json").json()["paths"]
    operations = [operation for methods in paths.values() for operation in methods.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names) > 15
    for operation in operations:
        assert operation["description"] and "4XX" in operation["responses"]


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.ids, self.links, self.tags = set(), [], set()

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.add(tag)
        self.ids.add(found.get("id"))
        self.links += [found[name] for name in ("href", "src") if name in found]
        assert not {name for name in found if name.startswith("on") or name == "style"}


def test_its_page_needs_nothing_from_elsewhere(studio):
    page = httpx.get(f"{studio.url}/api/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    links = Links()
    links.feed(page.text)
    assert not {"script", "style"} & links.tags
    for link in links.links:
        if link.startswith("#"):
            assert link[1:] in links.ids, link
        else:
            assert link.startswith("/") and httpx.get(studio.url + link).status_code == 200, link
    for path in httpx.get(f"{studio.url}/api/openapi.json").json()["paths"]:
        assert path in page.text
    assert "/api/live" in page.text and "ack" in page.text
