"""A bare dash among the arguments."""

from phosphene.cli import dash


def test_a_bare_hyphen_survives():
    marked = dash.marked(["dream", "-", "-o", "-", "--", "-"])
    assert marked == ["dream", dash.DASH, "-o", dash.DASH, "--", "-"]
    assert [dash.plain(token) for token in marked] == ["dream", "-", "-o", "-", "--", "-"]
