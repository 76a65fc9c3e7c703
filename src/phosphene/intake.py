"""What a dream is given to look at, looked at first: shapes, ranges, and the sizes that fit together."""

from __future__ import annotations

import math
import secrets

import torch
from torch import Tensor

from phosphene.canvas import Canvas, Disk, Held, Kept
from phosphene.config import Dream
from phosphene.errors import PhospheneError
from phosphene.lens import Lens
from phosphene.noise import GREY, Noise
from phosphene.octave import octave_count, output_size, resampled, zoomed


def photo_of(image: Tensor | Disk | Noise, lens: Lens, config: Dream) -> tuple[Kept, Dream]:
    """The photo at the output's size, and the settings with nothing left open."""
    if isinstance(image, Noise):
        image = torch.full((1, 3, image.height, image.width), GREY).expand(image.count, -1, -1, -1)
    if isinstance(image, Disk):
        if image.shape[1] != 3:
            raise PhospheneError("E_PARAM", f"image is {list(image.shape)}, expected [N, 3, H, W]")
        image.device = lens.device
        photo: Kept = image
    else:
        photo = Held(pixels("image", image, (3,), 0, 1, lens))
    photo = resampled(photo, output_size(*photo.size, config))
    seed = secrets.randbelow(2**32) if config.seed is None else config.seed
    return photo, config.model_copy(update={"seed": seed, "octaves": octave_count(*photo.size, config)})


def mask_of(mask: Tensor | None, photo: Canvas, lens: Lens) -> Canvas | None:
    """Where to dream, at the photo's size: `[1 or N, 1, H, W]`, 0..1."""
    if mask is None:
        return None
    flat = isinstance(mask, Tensor) and mask.dim() == 2
    mask = pixels("mask", mask[None] if flat else mask, (1, 3), 0, 1, lens)
    _check_batch("mask", mask, photo)
    mask = mask.mean(1, keepdim=True).clamp(0, 1)
    return zoomed(photo.view(mask.shape, Held(mask).rows), photo.size)


def detail_of(detail: Tensor | None, base: Canvas, lens: Lens) -> Canvas | None:
    """The dream to start from, at the size of `base`."""
    if detail is None:
        return None
    detail = pixels("detail", detail, (3,), -math.inf, math.inf, lens)
    _check_batch("detail", detail, base)
    return zoomed(base.view(detail.shape, Held(detail).rows), base.size)


def pixels(
    name: str, image: Tensor, channels: tuple[int, ...], low: float, high: float, lens: Lens
) -> Tensor:
    """`image` as float32 `[N, C, H, W]` on the lens's device, if it is one, of that range."""
    if (
        not isinstance(image, Tensor)
        or image.dim() not in (3, 4)
        or image.shape[-3] not in channels
        or not image.numel()
    ):
        shape = list(image.shape) if isinstance(image, Tensor) else type(image).__name__
        count = " or ".join(map(str, channels))
        raise PhospheneError(
            "E_PARAM", f"{name} is {shape}, expected a tensor [N, {count}, H, W] or [{count}, H, W]"
        )
    image = image.detach().to(lens.device, torch.float32).reshape(-1, *image.shape[-3:])
    least, most = image.min().item(), image.max().item()
    if not math.isfinite(least + most):
        raise PhospheneError(
            "E_NONFINITE", f"{name} has values that are not finite, expected {low} to {high}"
        )
    if least < low - 1e-3 or most > high + 1e-3:
        raise PhospheneError(
            "E_PARAM", f"{name} has values from {least:g} to {most:g}, expected {low} to {high}"
        )
    return image


def _check_batch(name: str, tensor: Tensor, photo: Canvas) -> None:
    if tensor.shape[0] not in (1, photo.shape[0]):
        raise PhospheneError(
            "E_PARAM", f"{name} has {tensor.shape[0]} images, expected 1 or {photo.shape[0]}, as the photo"
        )
