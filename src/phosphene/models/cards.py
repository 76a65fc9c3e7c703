"""A card for each network: where its dreams are good, and under which licence its weights come."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Model:
    """A network by name, and where its dreams are good. '' = found by looking, when it is loaded."""

    name: str
    summary: str
    objective: str = ""  # what is dreamed when nothing is asked for
    guide_layer: str = ""  # where a guide picture's features are compared
    needs_weights: bool = True  # there is no package with its weights: the user gives or pulls a file
    layers: tuple[str, ...] = ()  # worth seeing, from fine to coarse
    licence: str = ""  # of the weights


MODELS = (
    Model(
        "efficientnet_lite2",
        "EfficientNet-Lite2, ImageNet; the default",
        "blocks.4.1",
        "blocks.3.1",
        False,
        ("blocks.2.1", "blocks.3.0", "blocks.3.2", "blocks.4.1", "blocks.4.3", "blocks.5.1"),
        "Apache-2.0",
    ),
    Model(
        "efficientnet_lite0",
        "EfficientNet-Lite0, ImageNet; smaller and faster",
        "blocks.4.2 + blocks.3.2",
        "blocks.3.1",
        False,
        ("blocks.2.1", "blocks.3.2", "blocks.4.2", "blocks.5.1"),
        "Apache-2.0",
    ),
    Model(
        "bvlc_googlenet",
        "BVLC GoogLeNet, the network of the 2015 notebook, ImageNet; needs --weights",
        "inception_4c/output",
        "inception_3b/output",
        True,
        (
            "conv2/3x3",
            "inception_3b/5x5_reduce",
            "inception_4a/output",
            "inception_4c/output",
            "inception_4d/output",
        ),
        "unrestricted",
    ),
)
