"""Between pictures and tensors; and what importing the package costs."""

import subprocess
import sys

import numpy as np
import pytest
from picture_files import photo

from phosphene.errors import PhospheneError
from phosphene.picture import Picture

RAMP = photo()
PIXELS = (RAMP / 255).astype(np.float32)
ALPHA = np.linspace(0, 1, RAMP.shape[0] * RAMP.shape[1], dtype=np.float32).reshape(RAMP.shape[:2])
PICTURE = Picture(PIXELS, ALPHA, 16, b"profile", "tiff", "abc", ("note",))


def test_a_picture_as_a_tensor():
    torch = pytest.importorskip("torch")
    tensor = PICTURE.tensor()
    assert tensor.shape == (1, 3, *RAMP.shape[:2])
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous()
    assert (tensor[0].permute(1, 2, 0).numpy() == PIXELS).all()
    assert PICTURE.size == RAMP.shape[:2]


@pytest.mark.parametrize("size", [(40, 56), (1, 1), (1, 7), (7, 1)])
def test_the_tensor_is_a_copy(size):
    pytest.importorskip("torch")
    picture = Picture(np.zeros((*size, 3), np.float32))
    picture.tensor().fill_(1)
    assert not picture.pixels.any()


@pytest.mark.parametrize("batch", [False, True])
def test_a_picture_with_other_pixels(batch):
    torch = pytest.importorskip("torch")
    image = torch.rand(1, 3, *RAMP.shape[:2], requires_grad=True)
    picture = PICTURE.with_tensor(image if batch else image[0])
    assert picture.pixels.dtype == np.float32
    assert picture.pixels.flags.c_contiguous
    assert (picture.pixels == image[0].detach().permute(1, 2, 0).numpy()).all()
    assert picture.alpha is ALPHA
    kept = (picture.bits, picture.icc, picture.format, picture.sha256, picture.notes)
    assert kept == (16, b"profile", "tiff", "abc", ("note",))


@pytest.mark.parametrize("scale", [0.5, 1.5, 3])
def test_alpha_follows_the_size(scale):
    torch = pytest.importorskip("torch")
    height, width = round(RAMP.shape[0] * scale), round(RAMP.shape[1] * scale)
    alpha = np.broadcast_to(np.linspace(0, 1, RAMP.shape[1], dtype=np.float32), RAMP.shape[:2])
    picture = Picture(PIXELS, alpha.copy()).with_tensor(torch.zeros(3, height, width))
    assert picture.alpha.shape == (height, width)
    assert picture.alpha.dtype == np.float32
    centers = (np.arange(width) + 0.5) / scale - 0.5  # of the new pixels, in old ones
    expected = np.interp(centers, np.arange(RAMP.shape[1]), alpha[0])
    assert np.abs(picture.alpha - expected)[:, 2:-2].max() < 1e-3
    assert np.abs(picture.alpha - expected).max() < 0.02


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4, 4), (4, 8, 8), (8, 8, 3), (1, 1, 8, 8), (3, 0, 8)])
def test_tensors_that_are_no_picture(shape):
    torch = pytest.importorskip("torch")
    with pytest.raises(PhospheneError, match=r"expected \[3, H, W\]") as error:
        PICTURE.with_tensor(torch.zeros(shape))
    assert error.value.code == "E_PARAM"


def test_bfloat16_tensors():
    torch = pytest.importorskip("torch")
    picture = PICTURE.with_tensor(torch.full((3, 4, 5), 0.5, dtype=torch.bfloat16))
    assert picture.pixels.dtype == np.float32
    assert (picture.pixels == 0.5).all()


def test_importing_it_imports_neither_torch_nor_libvips():
    program = "import sys, phosphene.picture; print({'torch', 'pyvips', 'pillow_heif'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
