"""The grammar of objectives: text there and back, and hostile text."""

import ast
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from networks import strided
from phosphene import compare, expression, penalty, words
from phosphene.errors import PhospheneError
from phosphene.expression import parse
from phosphene.lens import Lens
from phosphene.objective import Objective, batch

ODD = r"""
- + * ( , @ . -a -- a- a+b a#0 a,b a=b class class:a tv tv() layer 0 1.5 1e5 2*a nan inf input re+1
inception_3b/5x5_reduce blocks.4.1 \ \u0041 " ä １
"""
STRANGE = ["a - b", "", " ", "a\nb", "\x7f", "\u2028", "\ud800", "\x00"]
odd = st.sampled_from([*ODD.split(), *STRANGE])
names = odd | st.text(max_size=8) | st.from_regex(r"[a-z0-9_./#-]{1,12}", fullmatch=True)
numbers = st.integers(0, 10**6)
floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
finite = st.floats(allow_nan=False, allow_infinity=False)
vectors = st.lists(floats, min_size=1, max_size=4).filter(any)
terms = st.one_of(
    names.map(words.layer),
    st.builds(words.channel, names, numbers),
    st.builds(words.neuron, names, numbers, numbers, numbers),
    (names | numbers).map(words.logit),
    st.builds(words.direction, names, vectors, st.floats(0, 100)),
    st.builds(words.guide, st.text(min_size=1, max_size=8), names),
    st.builds(compare.caricature, st.text(max_size=8), names, st.floats(0, 100)),
    st.builds(compare.inversion, st.text(max_size=8), names),
    st.builds(compare.contrast_of, st.text(max_size=8), st.text(max_size=8), names),
    st.builds(compare.grid, st.text(max_size=8), names, numbers),
    names.map(compare.diversity),
    names.map(compare.alignment),
    st.sampled_from([penalty.l1(), penalty.l2(), penalty.blur()]),
    st.just(penalty.tv()),
)
weights = (finite | st.integers(-5, 5) | st.sampled_from([1, -1, 1e22, 1e-7, 5e-324, 1.5e300])).filter(bool)
weighed = st.builds(lambda term, weight: term * weight, terms, weights)


def meaning(objective):
    return [
        (term.text, term.layer, term.weight, term.place, term.spread, term.resolve is None, term.image)
        for term in objective.terms
    ]


@settings(max_examples=300)
@given(st.lists(weighed, min_size=1, max_size=4))
@example([words.channel("class", 3)])
@example([words.direction("a", [1e10, -1e-10], power=1 / 3)])
@example([words.logit("tiger cat"), words.layer("x")])
@example([words.layer("re+1"), -1 * words.layer("-")])
def test_text_there_and_back(parts):
    objective = parts[0]
    for part in parts[1:]:
        objective = objective + part
    again = parse(objective.text)
    assert again.text == objective.text
    assert meaning(again) == meaning(objective) and again.files == objective.files


@settings(max_examples=100)
@given(st.lists(weighed, min_size=2, max_size=4))
def test_a_batch_there_and_back(images):
    objective = batch(images)
    again = parse(objective.text)
    assert again.text == objective.text
    assert meaning(again) == meaning(objective)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("blocks.4.1", words.layer("blocks.4.1")),
        ("inception_3b/5x5_reduce", words.layer("inception_3b/5x5_reduce")),
        ("blocks.4.1:12", words.channel("blocks.4.1", 12)),
        ("blocks.4.1:12@3,5", words.neuron("blocks.4.1", 12, 3, 5)),
        ("class:tabby", words.logit("tabby")),
        ("class:281", words.logit(281)),
        ("class:tiger cat", words.logit("tiger cat")),
        ('class:"tiger cat"', words.logit("tiger cat")),
        ("class(tabby)", words.logit("tabby")),
        ("2*blocks.4.1:12 - 0.5*tv()", 2 * words.channel("blocks.4.1", 12) - 0.5 * penalty.tv()),
        ("blocks.4.2 + blocks.3.2", words.layer("blocks.4.2") + words.layer("blocks.3.2")),
        ("layer(a)", words.layer("a")),
        ("channel(a, 3)", words.channel("a", 3)),
        ("unit(fc, 3)", words.unit("fc", 3)),
        ("neuron(a, 3, 1, 2)", words.neuron("a", 3, 1, 2)),
        ("direction(a, 1, -2.5, .5)", words.direction("a", [1, -2.5, 0.5])),
        ("direction(a, 1, 2, power=2)", words.direction("a", [1, 2], power=2)),
        ('guide("my flowers.jpg", a)', words.guide("my flowers.jpg", "a")),
        ("guide(flowers.jpg, a)", words.guide("flowers.jpg", "a")),
        ("0", words.layer("0")),
        ("0:5", words.channel("0", 5)),
        ("2*0", 2 * words.layer("0")),
        ("3*2*0", 6 * words.layer("0")),
        ('"a b":1', words.channel("a b", 1)),
        ("a*2", 2 * words.layer("a")),
        ("1e-3*a", 0.001 * words.layer("a")),
        ("-a", -words.layer("a")),
        ("- a", -words.layer("a")),
        ("  -a", -words.layer("a")),
        ("-2*a - -3*b", -2 * words.layer("a") + 3 * words.layer("b")),
        ("a + -b", words.layer("a") - words.layer("b")),
        ("2*(a - b:1) + c", 2 * words.layer("a") - 2 * words.channel("b", 1) + words.layer("c")),
        ("-(a - b)", words.layer("b") * 1 + -words.layer("a")),
        ("a-b", words.layer("a-b")),
        ("\ta\n+\n b ", words.layer("a") + words.layer("b")),
        ('"class":3', words.channel("class", 3)),
    ],
)
def test_the_grammar(text, expected):
    assert sorted(meaning(parse(text))) == sorted(meaning(expected))


WRONG = r"""
+
-
a +
a + -
- -
a b
a +b
a -b
a+ b
2*
*a
a*
a*b
a**2
a:
a:b
a:1.5
a:1@
a:1@2
a:1@2,
a:1@2,x
a:1:2
a,b
(a
a)
()
(a) b
tv(
tv(1)
nope(a)
layer()
layer(a, b)
layer(a,)
layer(,a)
layer(a b)
channel(a)
channel(a, b)
2()
neuron(a, 1, 2)
direction(a)
direction(a, 0)
direction(a, nan)
direction(a, 1e999)
direction(a, 1, power=inf)
direction(a, 1, power=1e999)
direction(a, 1, size=2)
0*a
1e999*a
nan*a
inf*a
1e200*(1e200*a)
class:
class:,
"a
"\q"
a;b
a & b
a # b
$a
`a`
a[0]
{a}
lambda: a
a.b()
eval(a)
exec(a)
open(a)
__class__.__mro__()
__import__("os").system("true")"""


@pytest.mark.parametrize("text", [*WRONG.split("\n"), " ", '"a\nb"'])
def test_wrong_text_is_one_line_of_ours(text):
    with pytest.raises(PhospheneError) as caught:
        parse(text)
    assert caught.value.code == "E_PARAM"
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_errors_show_where():
    for text in ("a +b", "a+ b", "a -b"):
        with pytest.raises(PhospheneError, match=r"got '[+-] ?b', expected .*with spaces around"):
            parse(text)
    with pytest.raises(
        PhospheneError, match=r"got '#2', expected .*; a name with blanks stands in double quotes"
    ):
        parse("conv #2")
    with pytest.raises(PhospheneError, match=r"expected direction\(LAYER, NUMBER"):
        parse("direction()")
    with pytest.raises(PhospheneError, match="the nearest are direction"):
        parse("directon(a, 1)")


hostile = st.text() | st.lists(
    st.sampled_from([*'()*+-,:@="\\ab1.-_ \n\t', " + ", " - ", "2*", "tv()", "class:", "1e9", "__import__"])
    | st.text(max_size=2),
    max_size=30,
).map("".join)


@settings(max_examples=500)
@given(hostile)
def test_hostile_text_raises_nothing_else(text):
    try:
        objective = parse(text)
    except PhospheneError as error:
        assert error.code == "E_PARAM" and "\n" not in str(error)
    else:
        assert isinstance(objective, Objective)
        assert parse(objective.text).text == objective.text


@pytest.mark.parametrize(
    "text",
    [
        "(" * 50_000,
        "-" * 100_000,
        "a" * 100_000,
        " " * 100_000,
        '"' * 100_000,
        '"' + "\\" * 99_999,
        "1" * 100_000,
        "((a) " * 20_000,
        "a + " * 25_000,
        "2*" * 50_000,
        "-(" * 50_000,
        "tv() + " * 14_000 + "tv()",
        "a" * 100_001,
        "1" * 5000 + "*a",
        "a:" + "1" * 5000,
        "direction(" + "1, " * 30_000 + "a)",
        "x" * 90_000 + "(a)",
    ],
)
def test_long_text_is_quick_and_bounded(text):
    try:
        objective = parse(text)
    except PhospheneError as error:
        assert len(str(error)) < 400
        return
    with pytest.raises(PhospheneError) as caught:
        objective.bind(Lens(strided()))
    assert len(str(caught.value)) < 1000


def test_nothing_is_evaluated():
    tree = ast.parse(Path(expression.__file__).read_text("utf-8"))
    called = {
        node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and hasattr(node.func, "id")
    }
    assert not called & {"eval", "exec", "compile", "getattr", "open", "__import__"}


def test_an_objective_for_each_image():
    objective = parse("blocks.1:3 + tv() | -2*blocks.2")
    assert [(term.layer, term.image) for term in objective.terms] == [
        ("blocks.1", 0),
        ("input", 0),
        ("blocks.2", 1),
    ]
    assert (
        objective.text == "blocks.1:3 + tv() | -2*blocks.2" and parse(objective.text).text == objective.text
    )
    assert objective.alone().text == "blocks.1:3 + tv()"
