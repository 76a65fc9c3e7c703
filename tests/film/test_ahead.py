"""Work ahead: the same items, no thread left, errors where they belong."""

import threading

import pytest

pytest.importorskip("cv2")
from phosphene.film.ahead import ahead


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "ahead"]


def test_the_same_items_in_order():
    with ahead(iter(range(50))) as items:
        assert list(items) == list(range(50))
    assert not threads()


def test_an_error_comes_in_its_place():
    def numbers():
        yield 1
        yield 2
        raise ValueError("three")

    seen = []
    with pytest.raises(ValueError, match="three"), ahead(numbers()) as items:
        for item in items:
            seen.append(item)
    assert seen == [1, 2]
    assert not threads()


def test_who_stops_early_leaves_nothing_behind():
    closed = []

    def endless():
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            closed.append(True)

    with ahead(endless(), most=3) as items:
        assert next(items) == 0
    assert closed and not threads()


def test_no_more_than_asked_for_is_made():
    made = []

    def numbers():
        for number in range(20):
            made.append(number)
            yield number

    with ahead(numbers(), most=2) as items:
        next(items)
        for _ in range(20):
            if len(made) >= 4:
                break
            threading.Event().wait(0.02)
        threading.Event().wait(0.05)
        assert len(made) <= 4
