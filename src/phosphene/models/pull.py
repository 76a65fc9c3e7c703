"""Weights that were downloaded before."""

from __future__ import annotations


def cached(name: str) -> str:
    """The path of the downloaded weights of the network `name`; '' where there are none."""
    del name
    return ""
