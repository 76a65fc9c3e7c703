"""Text to objectives: `2*blocks.4.1:12 - 0.5*tv()`.

    batch   = sum { "|" sum }                    one for each image
    sum     = ["-"] product { (" + " | " - ") product }
    product = [number "*"] atom | atom "*" number
    atom    = "(" sum ")" | word "(" arguments ")" | "class:" name | "text:" prompt
            | LAYER [":" channel ["@" y "," x]]

`/`, `.`, `#`, `-` and digits belong to names, so a binary `+` or `-` has spaces around it. Names
with other characters stand in double quotes. Nothing is ever evaluated.
"""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn

from phosphene import attention, checks, compare, penalty, plugins, prompt, words
from phosphene.errors import PhospheneError, nearest
from phosphene.objective import Objective, batch

TOKEN = re.compile(
    r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<sign>(?<=\s)[+-](?=\s)|^[+-]|(?<=\(|\|)[+-]|(?<=\|\s)[+-])|(?P<name>[\w./#-]+)|(?P<mark>[()*,:@=|]))'
)
NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE]-?\d+)?")
WHOLE = re.compile(r"-?\d+")
MAX_LENGTH = 100_000
MAX_DEPTH = 32
Argument = str | float
Token = tuple[str, str]  # kind, text

WORDS: dict[str, tuple[str, Callable[..., Objective]]] = {
    "layer": ("LAYER", words.layer),
    "channel": ("LAYER, NUMBER", lambda name, number: words.channel(name, _whole(number))),
    "unit": ("LAYER, NUMBER", lambda name, number: words.unit(name, _whole(number))),
    "neuron": (
        "LAYER, NUMBER, Y, X",
        lambda name, number, y, x: words.neuron(name, _whole(number), _whole(y), _whole(x)),
    ),
    "class": ("NAME", lambda name: words.logit(name)),
    "direction": (
        "LAYER, NUMBER, NUMBER, …, power=P",
        lambda name, *vector, power="0": words.direction(name, [_number(v) for v in vector], _number(power)),
    ),
    "guide": ("FILE, LAYER", words.guide),
    "text": ("PROMPT, crops=N", lambda said, crops=str(prompt.CROPS): prompt.text(said, _whole(crops))),
    "cls": ("LAYER, CHANNEL", lambda name, *channel: attention.cls(name, *_wholes(channel, 1))),
    "token": (
        "LAYER, NUMBER, CHANNEL",
        lambda name, number, *channel: attention.token(name, _whole(number), *_wholes(channel, 1)),
    ),
    "head": ("LAYER, NUMBER", lambda name, number: attention.head(name, _whole(number))),
    "tv": ("", penalty.tv),
    "l1": ("", penalty.l1),
    "l2": ("", penalty.l2),
    "blur": ("", penalty.blur),
    "caricature": (
        "FILE, LAYER, power=P",
        lambda file, name, power="1": compare.caricature(file, name, _number(power)),
    ),
    "contrast": ("FILE, FILE, LAYER", compare.contrast_of),
    "grid": ("FILE, LAYER, cells=N", lambda file, name, cells="0": compare.grid(file, name, _whole(cells))),
    "inversion": ("FILE, LAYER", compare.inversion),
    "diversity": ("LAYER", compare.diversity),
    "alignment": ("LAYER", compare.alignment),
}


def parse(text: str) -> Objective:
    """The objective that `text` stands for; E_PARAM says what was expected where."""
    if len(checks.text("an objective", text)) > MAX_LENGTH:
        raise PhospheneError("E_PARAM", f"objective: {len(text)} characters, expected at most {MAX_LENGTH}")
    return _Reader(text).whole()


def _whole(text: str) -> int:
    if not WHOLE.fullmatch(text) or len(text) > 9:
        raise PhospheneError("E_PARAM", f"objective: got {text[:40]!r}, expected a whole number")
    return int(text)


def _wholes(texts: tuple[str, ...], most: int) -> list[int]:
    if len(texts) > most:
        raise TypeError
    return [_whole(text) for text in texts]


def _number(text: str) -> float:
    if not NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise PhospheneError("E_PARAM", f"objective: got {text[:40]!r}, expected a number")
    return float(text)


def plugged(name: str) -> tuple[str, Callable[..., Objective]]:
    """A word that an installed package adds: what it takes, and what makes an objective of texts.

    Texts become numbers where the function's annotations say int or float. E_PARAM, E_PLUGIN.
    """
    build = plugins.load("objective", name)
    if build is None:
        near = ", ".join(nearest(name, [*WORDS, *plugins.added("objective")], 3))
        raise PhospheneError("E_PARAM", f"objective: there is no word {name[:40]!r}; the nearest are {near}")
    try:
        signature = inspect.signature(build, eval_str=True)
    except Exception as error:  # what can't be called, annotations that can't be evaluated
        raise plugins.refused("objective", name, f"{type(error).__name__}: {error}") from error
    read = {int: _whole, float: _number}

    def made(*texts: str, **options: str) -> Objective:
        bound = signature.bind(*texts, **options)
        for key, value in bound.arguments.items():
            as_is: Callable[[str], Any] = str
            convert = read.get(signature.parameters[key].annotation, as_is)
            if isinstance(value, tuple):
                bound.arguments[key] = tuple(map(convert, value))
            elif isinstance(value, dict):
                bound.arguments[key] = {option: convert(text) for option, text in value.items()}
            else:
                bound.arguments[key] = convert(value)
        try:
            found = build(*bound.args, **bound.kwargs)
        except PhospheneError:
            raise
        except (Exception, SystemExit) as error:
            raise plugins.refused("objective", name, f"{type(error).__name__}: {error}") from error
        if not isinstance(found, Objective):
            raise plugins.refused("objective", name, f"it gave {found!r:.80}, expected an Objective")
        return found

    return ", ".join(key.upper() for key in signature.parameters), made


class _Reader:
    """Reads tokens from left to right, one function per rule of the grammar."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str, int]] = []  # kind, text, where it starts
        self.next = 0
        self.depth = 0
        place = 0
        text = text.rstrip()
        while place < len(text):
            found = TOKEN.match(text, place)
            if not found:
                blanks = len(text[place:]) - len(text[place:].lstrip())
                self.fail(place + blanks, "a name, a number, or + or - with spaces around")
            kind = found.lastgroup or ""
            self.tokens.append((kind, found[kind], found.start(kind)))
            place = found.end()

    def fail(self, place: int, expected: str) -> NoReturn:
        rest = self.text[place : place + 20]
        got = repr(rest) if rest else "its end"
        raise PhospheneError("E_PARAM", f"objective {self.text[:80]!r}: got {got}, expected {expected}")

    def wrong(self, expected: str) -> NoReturn:
        self.fail(self.tokens[self.next][2] if self.next < len(self.tokens) else len(self.text), expected)

    def peek(self, ahead: int = 0) -> Token:
        place = self.next + ahead
        return self.tokens[place][:2] if place < len(self.tokens) else ("end", "")

    def take(self) -> str:
        self.next += 1
        return self.tokens[self.next - 1][1]

    def accept(self, text: str) -> bool:
        if self.peek() in (("mark", text), ("sign", text)):
            self.next += 1
            return True
        return False

    def name(self, expected: str) -> str:
        kind, text = self.peek()
        if kind == "string":
            self.next += 1
            try:
                return str(json.loads(text))
            except ValueError:
                self.next -= 1
                self.wrong('a string in double quotes, with \\" and \\\\ for " and \\')
        if kind != "name" or not text:
            self.wrong(expected)
        return self.take()

    def whole(self) -> Objective:
        images = [self.sum()]
        while self.accept("|"):
            images.append(self.sum())
        if self.next < len(self.tokens):
            quotes = "; a name with blanks stands in double quotes" if self.peek()[0] == "name" else ""
            self.wrong(f"' + ', ' - ' (with spaces around) or the end{quotes}")
        return images[0] if len(images) == 1 else batch(images)

    def sum(self) -> Objective:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.wrong(f"parentheses at most {MAX_DEPTH} deep")
        negative = self.accept("-")
        objective = -self.product() if negative else self.product()
        while self.peek()[0] == "sign":
            sign = self.take()
            following = self.product()
            objective = objective + following if sign == "+" else objective - following
        self.depth -= 1
        return objective

    def product(self) -> Objective:
        factor = 1.0
        while self.peek()[0] == "name" and NUMBER.fullmatch(self.peek()[1]) and self.peek(1) == ("mark", "*"):
            factor *= float(self.take())
            self.next += 1
        if factor == 1 and (leading := self.peek())[0] == "name" and leading[1].startswith("-"):
            kind, text, place = self.tokens[self.next]
            self.tokens[self.next] = (kind, text[1:], place + 1)
            factor = -1.0
        objective = self.atom()
        while self.accept("*"):
            factor *= _number(self.name("a number"))
        return objective if factor == 1 else objective * factor

    def atom(self) -> Objective:
        if self.accept("("):
            objective = self.sum()
            if not self.accept(")"):
                self.wrong("')'")
            return objective
        is_word = self.peek()[0] == "name"
        name = self.name("a layer, or a word such as class:tabby or tv()")
        if is_word and self.accept("("):
            return self.word(name)
        if not self.accept(":"):
            return words.layer(name)
        if is_word and name == "class":
            return words.logit(self.phrase("a class's name or number"))
        if is_word and name == "text":
            return prompt.text(self.phrase("a prompt, in double quotes"))
        number = _whole(self.name("a channel's number"))
        if not self.accept("@"):
            return words.channel(name, number)
        y = _whole(self.name("y"))
        if not self.accept(","):
            self.wrong("',' between y and x")
        return words.neuron(name, number, y, _whole(self.name("x")))

    def phrase(self, expected: str) -> str:
        parts = [self.name(expected)]
        while self.peek()[0] == "name":
            parts.append(self.take())
        return " ".join(parts)

    def word(self, name: str) -> Objective:
        usage, build = WORDS.get(name) or plugged(name)
        arguments: list[str] = []
        options: dict[str, str] = {}
        while not self.accept(")"):
            if (arguments or options) and not self.accept(","):
                self.wrong("',' or ')'")
            text = self.name("an argument")
            if self.accept("="):
                options[text] = self.name("a value")
            else:
                arguments.append(text)
        try:
            return build(*arguments, **options)
        except TypeError:
            given = ", ".join([*arguments, *(f"{key}={value}" for key, value in options.items())])[:80]
            raise PhospheneError(
                "E_PARAM", f"objective: got {name}({given}), expected {name}({usage})"
            ) from None
