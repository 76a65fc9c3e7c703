"""`Picture`: pixels in memory, with what has to survive the way from one file to another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phosphene import checks
from phosphene.errors import PhospheneError

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as phosphene works on it: upright RGB floats, whatever the file held.

    `pixels` is float32 [H, W, 3] in 0..1, and `alpha`, where there is one, float32 [H, W] in 0..1
    (not multiplied into the pixels). The values are those of the file: with an RGB colour profile
    they mean what `icc` says, and `save_picture` embeds that profile again; without one they are
    sRGB. `bits` is 8 or 16, the depth it is saved with where the format can. `notes` says in words
    what opening the file converted or dropped.
    """

    pixels: Floats
    alpha: Floats | None = None
    bits: int = 8
    icc: bytes | None = None
    format: str = "png"
    sha256: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check("pixels", self.pixels, (3,))
        if self.alpha is not None:
            _check("alpha", self.alpha, ())
        if checks.whole("bits", self.bits, 8, 16) not in (8, 16):
            raise PhospheneError("E_PARAM", f"bits is {self.bits}, expected 8 or 16")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def tensor(self) -> Tensor:
        """A copy of the pixels as a float32 tensor [1, 3, H, W] in 0..1."""
        import torch

        planes = np.ascontiguousarray(self.pixels.transpose(2, 0, 1), dtype=np.float32)
        return torch.from_numpy(planes if planes.base is None else planes.copy())[None]

    def with_tensor(self, image: Tensor) -> Picture:
        """This picture with the pixels of `image`, [1, 3, H, W] or [3, H, W] in 0..1.

        Alpha, profile, depth and notes stay; alpha is resized where the size is another one.
        """
        pixels = pixels_of(image)
        alpha = self.alpha
        if alpha is not None and alpha.shape != pixels.shape[:2]:
            alpha = resized(alpha, *pixels.shape[:2])
        return replace(self, pixels=pixels, alpha=alpha)


def _check(name: str, values: object, last: tuple[int, ...]) -> None:
    if not isinstance(values, np.ndarray) or values.ndim != 2 + len(last) or values.shape[2:] != last:
        got = list(values.shape) if isinstance(values, np.ndarray) else type(values).__name__
        wanted = ", ".join(["H", "W", *map(str, last)])
        raise PhospheneError("E_PARAM", f"{name} is {got}, expected a NumPy array [{wanted}]")


def pixels_of(image: Tensor) -> Floats:
    """A tensor [1, 3, H, W] or [3, H, W] on any device as a float32 array [H, W, 3]."""
    planes = image[0] if image.ndim == 4 and image.shape[0] == 1 else image
    if planes.ndim != 3 or planes.shape[0] != 3 or 0 in planes.shape:
        raise PhospheneError(
            "E_PARAM", f"got a tensor {list(image.shape)}, expected [3, H, W] or [1, 3, H, W]"
        )
    array: Floats = np.ascontiguousarray(planes.detach().float().cpu().numpy().transpose(1, 2, 0))
    return array


def resized(plane: Floats, height: int, width: int) -> Floats:
    """`plane` [h, w] as [height, width]: bilinear, antialiased when it shrinks."""
    from PIL import Image

    image = Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=np.float32).clip(0, 1)
