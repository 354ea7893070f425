"""Pillow's libjpeg in MindSpore's place: the same pixels from another library."""

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path, PurePosixPath

import pytest

from common import jpeg
from common.jpeg import prefer_pillows_libjpeg

ROOT = Path(__file__).parents[2]

# Decodes an image with MindSpore; defines the digest of its pixels and whether a libjpeg is there
# for all to use.
DECODE = """
import ctypes, hashlib, io, numpy as np
from common.jpeg import prefer_pillows_libjpeg
prefer_pillows_libjpeg()
from PIL import Image
from mindspore.dataset import vision
image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8))
encoded = io.BytesIO()
image.save(encoded, "JPEG", quality=90)
pixels = vision.Decode()(np.frombuffer(encoded.getvalue(), np.uint8))
digest = hashlib.sha256(pixels.tobytes()).hexdigest()
shared = hasattr(ctypes.CDLL(None), "jpeg_CreateDecompress")
"""


def test_both_libraries_give_the_same_pixels():
    here: dict = {}
    exec(DECODE, here)  # conftest.py has loaded Pillow's, as every command does
    assert here["shared"], "Pillow's library is not there for all to use"
    done = subprocess.run([sys.executable, "-c", f"{DECODE}\nprint(digest, shared)"], cwd=ROOT,
                          text=True, capture_output=True, check=True,
                          env={**os.environ, "JPEG_DECODER": "mindspore"})
    assert done.stdout.split() == [here["digest"], "False"], "MindSpore's own is for itself alone"


class Listed(PurePosixPath):
    """A file as a package's metadata lists it."""

    def locate(self):
        return self


@pytest.mark.parametrize("names", [
    None, [], ["pillow.libs/libpng.so.62.0"], ["pillow.libs/libjpeg-1.so.63.0"],
    ["pillow.libs/libjpeg-1.so.62.0"]])  # which is not where it is listed
def test_without_a_libjpeg_of_pillows_mindspores_own_decodes(monkeypatch, names):
    monkeypatch.setattr(jpeg, "files", lambda package: names and [*map(Listed, names)])
    assert prefer_pillows_libjpeg() is None


def test_the_libjpeg_is_that_of_pillow_if_there_is_a_pillow(monkeypatch, tmp_path):
    loaded = prefer_pillows_libjpeg()
    assert loaded and ".so.62." in loaded and os.path.exists(loaded)
    monkeypatch.setenv(jpeg.CHOICE, "mindspore")
    assert prefer_pillows_libjpeg() is None
    monkeypatch.delenv(jpeg.CHOICE)

    def missing(package):
        raise PackageNotFoundError(package)
    monkeypatch.setattr(jpeg, "files", missing)
    assert prefer_pillows_libjpeg() is None
