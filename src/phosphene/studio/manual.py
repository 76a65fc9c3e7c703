"""The page that describes the HTTP interface, made from its OpenAPI description."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

TEMPLATE = Path(__file__).with_name("manual.html")


def page(description: Mapping[str, Any]) -> str:
    """One HTML page without scripts; `description` is the OpenAPI document."""
    schemas = description["components"]["schemas"]
    operations = [
        (path, method, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    requests = "".join(
        f'<li><a href="#{_anchor(path, method)}"><b>{method.upper()}</b> {escape(path)}</a></li>'
        for path, method, _ in operations
    )
    shapes = (_shape(name, one) for name, one in sorted(schemas.items()) if "properties" in one)
    return Template(TEMPLATE.read_text("utf-8")).substitute(
        requests=requests,
        operations="".join(_operation(*one) for one in operations),
        shapes="".join(shapes),
    )


def _anchor(path: str, method: str) -> str:
    return escape(f"{method}-{path.strip('/').replace('/', '-').replace('{', '').replace('}', '')}")


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> str:
    rows = [
        (one["name"], one["in"], _kind(one["schema"]), one.get("description", ""))
        for one in operation.get("parameters", ())
    ]
    body = operation.get("requestBody", {}).get("content", {})
    for kind, one in body.items():
        rows += list(_body(kind, one["schema"]))
    answers = "".join(
        f"<li><b>{escape(status)}</b> {_answer(one)}</li>" for status, one in operation["responses"].items()
    )
    title = f"<h3><b>{method.upper()}</b> <code>{escape(path)}</code></h3>"
    text = f"<p>{escape(operation.get('description', ''))}</p>"
    return (
        f'<section id="{_anchor(path, method)}">{title}{text}{_table(rows)}'
        f'<ul class="answers">{answers}</ul></section>'
    )


def _body(kind: str, schema: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, str, str, str]]:
    """A row for the body, or one for each of its fields."""
    if "properties" not in schema:
        yield "the body", kind, _kind(schema), ""
    for name, one in schema.get("properties", {}).items():
        if "properties" in one:
            yield from _body(kind, one, f"{name}.")
        else:
            yield within + name, "body", _kind(one), one.get("description", "")


def _answer(answer: Mapping[str, Any]) -> str:
    kinds = [
        _linked(one["schema"]) if kind == "application/json" and one.get("schema") else escape(kind)
        for kind, one in answer.get("content", {}).items()
    ]
    return " or ".join(dict.fromkeys(kinds)) or escape(answer["description"])


def _linked(schema: Mapping[str, Any]) -> str:
    """A schema in a few words, with a link to the shape that it is, or is a list of."""
    inner = schema.get("items", schema)
    if "$ref" not in inner:
        return escape(_kind(schema))
    link = f'<a href="#shape-{escape(_kind(inner))}">{escape(_kind(inner))}</a>'
    return link if inner is schema else f"list of {link}"


def _shape(name: str, schema: Mapping[str, Any]) -> str:
    rows = [
        (field, "", _kind(one), one.get("description", "")) for field, one in schema["properties"].items()
    ]
    return (
        f'<section id="shape-{escape(name)}"><h3>{escape(name)}</h3>'
        f"<p>{escape(schema.get('description', ''))}</p>{_table(rows)}</section>"
    )


def _table(rows: list[tuple[str, str, str, str]]) -> str:
    if not rows:
        return ""
    lines = "".join(
        f'<tr><th scope="row"><code>{escape(name)}</code></th><td>{escape(place)}</td>'
        f"<td>{escape(kind)}</td><td>{escape(text)}</td></tr>"
        for name, place, kind, text in rows
    )
    table = f"<table><tbody>{lines}</tbody></table>"
    return f'<div class="wide" tabindex="0" role="group" aria-label="Fields">{table}</div>'


def _kind(schema: Mapping[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}" if "items" in schema else "list"
    if schema.get("format") == "binary":
        return "bytes"
    return " ".join([str(schema.get("type", "anything")), *_range(schema)])


def _range(schema: Mapping[str, Any]) -> Iterator[str]:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is not None:
        yield f"from {low:g}"
    if high is not None:
        yield f"to {high:g}"
    if "default" in schema and schema["default"] not in ("", None, {}):
        yield f"(default {schema['default']})"
