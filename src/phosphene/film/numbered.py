"""A film as numbered pictures: each a PNG file that appears whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
from numpy.typing import NDArray

from phosphene.errors import PhospheneError
from phosphene.film.kinds import SEQUENCE, Plan
from phosphene.film.parts import OFTEN, Folder
from phosphene.picture import atomic, shown

IN_A_FOLDER = "%06d.png"


class Numbered(Folder):
    """The pictures are the film: the folder beside it has the state alone."""

    def __init__(self, path: Path, plan: Plan, identity: Mapping[str, Any], output: str) -> None:
        super().__init__(path, plan, identity)
        named = Path(output)
        self.name = named.name if SEQUENCE.search(named.name) else IN_A_FOLDER
        self.place = named.parent if SEQUENCE.search(named.name) else named

    def resume(self) -> None:
        super().resume()
        for index in range(self.next, self.next + OFTEN + 1):
            atomic.sweep(self.place / (self.name % index))

    def keep(self, pixels: NDArray[Any]) -> None:
        done, data = cv2.imencode(".png", pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 4])
        assert done
        with atomic.write(self.place / (self.name % self.next), overwrite=True) as file:
            file.write(data.tobytes())

    def check(self, overwrite: bool) -> None:
        """Make the pictures' folder; E_EXISTS if there are some already."""
        with atomic.reported(self.place):
            self.place.mkdir(exist_ok=True)
        if self.those(0) and not overwrite:
            raise PhospheneError(
                "E_EXISTS",
                f"{shown(self.place)} has numbered pictures already; use --overwrite to replace them",
            )

    def those(self, least: int) -> list[Path]:
        """The pictures with numbers of at least `least`."""
        before, after = SEQUENCE.split(self.name)
        number = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
        found = ((number.fullmatch(one.name), one) for one in self.place.iterdir())
        return [
            one
            for match, one in found
            if match and int(match[1]) >= least and one.name == self.name % int(match[1])
        ]
