"""A bare `-`, for stdin and stdout: it looks like an option to cyclopts, so it travels as a NUL."""

from __future__ import annotations

DASH = "\0"  # can't occur in a real argument


def marked(tokens: list[str]) -> list[str]:
    """The command line with every `-` before `--` replaced by `DASH`."""
    end = tokens.index("--") if "--" in tokens else len(tokens)
    return [DASH if token == "-" else token for token in tokens[:end]] + tokens[end:]


def plain(text: str) -> str:
    """A value as it was typed."""
    return "-" if text == DASH else text
