"""Where weights are kept, and that only what its publisher's digest fits is used."""

import dataclasses
import hashlib

import pytest

from phosphene import models
from phosphene.errors import PhospheneError
from phosphene.models import pull

PAYLOAD = bytes(range(256)) * 40


def entry(name="torchvision:googlenet", payload=PAYLOAD, algorithm="sha256"):
    digest = hashlib.new(algorithm, payload).hexdigest()[: 8 if algorithm == "sha256" else None]
    kind = pull.PUBLISHED[name]
    return dataclasses.replace(kind, size=len(payload), algorithm=algorithm, digest=digest)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A cache of one's own, and a small payload in place of the real files."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.setattr(
        pull,
        "PUBLISHED",
        {
            "torchvision:googlenet": entry(),
            "bvlc_googlenet": entry("bvlc_googlenet", algorithm="sha1"),
        },
    )
    return tmp_path


def put(path, data=PAYLOAD):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path)


class TestCached:
    def test_nothing(self):
        assert pull.cached("torchvision:googlenet") == "" == pull.cached("timm:resnet50")
        assert pull.cached("torchvision:no_such_network") == ""

    @pytest.mark.parametrize("name", ["torchvision:googlenet", "bvlc_googlenet"])
    def test_the_pulled_file(self, name, home):
        path = put(home / "cache" / "phosphene" / "models" / pull.PUBLISHED[name].file)
        assert pull.cached(name) == path == pull.seems_here(name)

    def test_pytorchs_own_cache(self, home, monkeypatch):
        path = put(home / "cache/torch/hub/checkpoints/googlenet-1378be20.pth")
        assert pull.cached("torchvision:googlenet") == path
        monkeypatch.setenv("TORCH_HOME", str(home / "elsewhere"))
        assert pull.cached("torchvision:googlenet") == ""
        path = put(home / "elsewhere/hub/checkpoints/googlenet-1378be20.pth")
        assert pull.cached("torchvision:googlenet") == path

    def test_a_file_with_another_digest_is_not_trusted(self, home):
        put(home / "cache/torch/hub/checkpoints/googlenet-1378be20.pth", PAYLOAD[:-1] + b"x")
        put(home / "cache/phosphene/models/googlenet-1378be20.pth", PAYLOAD[:-1])
        assert pull.cached("torchvision:googlenet") == ""

    def test_a_file_that_changes_is_looked_at_again(self, home):
        path = home / "cache/phosphene/models/googlenet-1378be20.pth"
        put(path)
        assert pull.cached("torchvision:googlenet")
        put(path, PAYLOAD + b"more")
        assert not pull.cached("torchvision:googlenet")

    def test_other_torchvision_networks_from_pytorchs_cache(self, home, monkeypatch):
        (found,) = pull.torchvision_entries("torchvision:squeezenet1_1")
        digest = hashlib.sha256(PAYLOAD).hexdigest()[:8]
        file = f"squeezenet1_1-{digest}.pth"
        changed = dataclasses.replace(found, url=f"https://example.org/{file}", digest=digest)
        path = put(home / "cache/torch/hub/checkpoints" / file)
        monkeypatch.setattr(pull, "torchvision_entries", lambda name: [changed])
        assert pull.cached("torchvision:squeezenet1_1") == path


def test_loading_uses_what_was_pulled(home):
    path = put(home / "cache/phosphene/models/bvlc_googlenet.caffemodel")
    assert models.weights_of("bvlc_googlenet", "") == path
    assert models.weights_of("bvlc_googlenet", "mine.caffemodel") == "mine.caffemodel"


class TestPublished:
    def test_torchvision_says_the_same(self, monkeypatch):
        monkeypatch.undo()
        for name, known in pull.PUBLISHED.items():
            if name != "bvlc_googlenet":
                assert known in pull.torchvision_entries(name)
                assert known.digest in known.url and len(known.digest) == 8

    def test_in_words(self):
        assert pull.published("torchvision:googlenet").digest_words.startswith("SHA-256 begins with ")
        assert pull.published("bvlc_googlenet").digest_words.startswith("SHA-1 ")
        nothing = dataclasses.replace(entry(), algorithm="", digest="")
        assert nothing.digest_words == "none published"

    def test_unknown(self):
        with pytest.raises(PhospheneError, match="torchvision:googlenet") as error:
            pull.published("torchvision:goglenet")
        assert error.value.code == "E_MODEL"
