"""Without the libraries that films need, one line says how to get them."""

import sys

import pytest

from phosphene import PhospheneError


@pytest.mark.parametrize("missing", ["av", "cv2"])
def test_what_is_missing_is_said(monkeypatch, missing):
    for name in [name for name in sys.modules if name.startswith("phosphene.film")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(PhospheneError, match=r"pip install 'phosphene\[film\]'") as caught:
        import phosphene.film  # noqa: F401
    assert caught.value.code == "E_FORMAT"
