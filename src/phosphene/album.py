"""Photos in files, opened when they are looked at: a folder of any size needs little memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from torch import Tensor

from phosphene.errors import PhospheneError

KEPT = 2**28  # bytes of photos that stay open


class Album(Mapping[str, Tensor]):
    """Photos `[3, H, W]`, 0..1, by name. All that can be read have a size in `sizes`, (height, width)."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.sizes: dict[str, tuple[int, int]] = {}
        self.unread: list[Path] = []
        self._paths: dict[str, Path] = {}
        self._open: dict[str, Tensor] = {}
        for path in paths:
            name = path.name if path.name not in self._paths else str(path)
            try:
                image = _read(path)
            except PhospheneError:
                self.unread.append(path)
                continue
            self._paths[name], self.sizes[name] = path, (image.shape[1], image.shape[2])
            self._keep(name, image)

    def __getitem__(self, name: str) -> Tensor:
        image = self._open.pop(name, None)
        self._keep(name, _read(self._paths[name]) if image is None else image)
        return self._open[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def _keep(self, name: str, image: Tensor) -> None:
        """As the last one that was looked at; the first ones go."""
        self._open[name] = image
        held = sum(one.nbytes for one in self._open.values())
        while held > KEPT and len(self._open) > 1:
            held -= self._open.pop(next(iter(self._open))).nbytes


def _read(path: Path) -> Tensor:
    from phosphene.picture import open_picture

    return open_picture(path).tensor()[0]
