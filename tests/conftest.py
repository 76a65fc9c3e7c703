"""Fixtures for every test."""

import pytest


@pytest.fixture
def one_thread():
    """Small networks are quickest on one thread, above all on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
