"""Pillow's libjpeg in MindSpore's place: the same pixels from another library."""

import os
import subprocess
import sys
from pathlib import Path

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
