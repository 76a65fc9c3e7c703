"""A prompt as an objective: the picture, crop by crop, as like as can be to what a text says."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from numpy.random import RandomState
from torch import Tensor
from torch.nn import functional as F

from phosphene import checks
from phosphene.address import quoted
from phosphene.crops import boxes, cut
from phosphene.errors import PhospheneError
from phosphene.objective import Measure, Objective, Term
from phosphene.words import unbound

if TYPE_CHECKING:
    from phosphene.lens import Lens

CROPS = 8  # of a step
MOST = 256
HAVE_TEXT = "hf:openai/clip-vit-base-patch32, hf:google/siglip-base-patch16-224 or open_clip:ViT-B-32"


def text(prompt: str, crops: int = CROPS) -> Objective:
    """The cosine of a prompt's embedding and the picture's, the mean over random crops of it.

    The network must be one that embeds text and pictures alike, such as CLIP. Every step looks at
    `crops` new squares, drawn by the run's seed, octave and step.
    """
    if not checks.text("text: the prompt", prompt).strip():
        raise PhospheneError("E_PARAM", "text: the prompt is empty; give some words")
    checks.whole("text: crops", crops, 1, MOST)
    name = f"text:{quoted(prompt)}"
    if crops != CROPS:
        name = f"text({json.dumps(prompt, ensure_ascii=False)}, crops={crops})"

    def embed(term: Term, lens: Lens) -> Term:
        if lens.text is None or not lens.embedding:
            raise PhospheneError(
                "E_PARAM", f"{name[:200]}: {lens.name} has no text tower; give a network like {HAVE_TEXT}"
            )
        wanted = lens.text([prompt])[0].to(lens.device, torch.float32)

        def draw(numbers: tuple[int, ...], shared: dict[Any, Tensor]) -> Measure:
            def measure(image: Tensor) -> Tensor:
                if crops not in shared:
                    shared[crops] = _embedded(image, lens, crops, RandomState(list(numbers)))
                return F.cosine_similarity(shared[crops], wanted, dim=-1)[:, None]

            return measure

        return replace(term, layer="input", measure=_always(draw), draw=draw)

    return Objective((Term(name, "", unbound(name), spread=False, resolve=embed, group="text:"),))


def _always(draw: Any) -> Measure:
    """The measure outside of a run, at the same crops each time."""
    return lambda image: draw((0,), {})(image)


def _embedded(image: Tensor, lens: Lens, count: int, random: RandomState) -> Tensor:
    """The embeddings of a picture's crops: `[N, count, D]`."""
    height, width = image.shape[-2:]
    squares = cut(image, boxes(height, width, lens.size, count, random), lens.size)
    with lens.watching([lens.embedding]) as look:
        found = look(squares)[lens.embedding]
    return found.view(count, image.shape[0], -1).transpose(0, 1)
