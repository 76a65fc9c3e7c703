"""What phosphene is built on: no version that is known to be vulnerable, no address in what is committed."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
GROUPS = {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
WANTED = {group: [Requirement(line) for line in lines] for group, lines in GROUPS.items()}
PINNED = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line[0] != "#"
)

FIXED = {  # the first version without the holes that are known, and one of them
    "pillow": ("12.3", "CVE-2026-40192"),
    "pyvips-binary": ("8.18.3", "CVE-2026-70654"),
    "torch": ("2.10", "CVE-2025-32434, CVE-2026-24747"),
    "ray": ("2.52", "CVE-2025-62593"),
    "starlette": ("0.49.1", "CVE-2025-62727, CVE-2025-54121, CVE-2024-47874"),
    "h11": ("0.16", "CVE-2025-43859"),
    "transformers": ("4.53", "CVE-2025-3933 and others: slow patterns"),
    "opencv-python-headless": ("4.8.1.78", "CVE-2023-4863 in libwebp"),
    "pydantic": ("2.4", "CVE-2024-3772"),
    "scikit-image": ("0.25", "none known; the oldest that is tried"),
}


def lowest(requirement):
    floors = [Version(each.version) for each in requirement.specifier if each.operator in (">=", "==", "~=")]
    return max(floors) if floors else None


@pytest.mark.parametrize("group", WANTED)
def test_everything_has_a_floor_and_no_address(group):
    for requirement in WANTED[group]:
        assert lowest(requirement), f"{requirement}: which versions?"
        assert requirement.url is None, f"{requirement}: an address"


@pytest.mark.parametrize("name", FIXED)
def test_floors_are_above_what_is_known(name):
    fixed, why = FIXED[name]
    asked = [each for group in WANTED.values() for each in group if each.name == name]
    assert any(lowest(each) >= Version(fixed) for each in asked), f"{name} below {fixed}: {why}"
    assert Version(PINNED[name]) >= Version(fixed), f"{name} is pinned at {PINNED[name]}: {why}"


def test_pins_are_within_what_is_asked_for():
    for group in WANTED.values():
        for requirement in group:
            assert requirement.name in PINNED, f"{requirement.name} isn't pinned"
            assert PINNED[requirement.name] in requirement.specifier, (
                f"{requirement}, {PINNED[requirement.name]}"
            )


@pytest.mark.parametrize("name", ["constraints.txt", "pyproject.toml", "Makefile", ".ci/run"])
def test_no_address_of_a_registry_is_committed(name):
    assert not re.search(r"https?://|index-url|find-links|git\\+", (ROOT / name).read_text())
