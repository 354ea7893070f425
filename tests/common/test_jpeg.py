"""Pillow's libjpeg in MindSpore's place: the same pixels from another library."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Decodes an image; prints the digest of its pixels, and whether a libjpeg is there for all to use.
DECODE = """
import hashlib, io, numpy as np
from common.jpeg import prefer_pillows_libjpeg
prefer_pillows_libjpeg()
from PIL import Image
from mindspore.dataset import vision
image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8))
encoded = io.BytesIO()
image.save(encoded, "JPEG", quality=90)
data = np.frombuffer(encoded.getvalue(), np.uint8)
print(hashlib.sha256(vision.Decode()(data).tobytes()).hexdigest())
import ctypes
print(ctypes.CDLL(None)["jpeg_CreateDecompress"] is not None)
"""


def decode(decoder: str) -> list:
    done = subprocess.run([sys.executable, "-c", DECODE], cwd=ROOT, text=True, capture_output=True,
                          env={**os.environ, "JPEG_DECODER": decoder})
    return done.returncode, done.stdout.split()


def test_both_libraries_give_the_same_pixels():
    code, words = decode("pillow")
    assert code == 0 and words[1] == "True", "Pillow's library is not there for all to use"
    other_code, other_words = decode("mindspore")
    assert other_code != 0 and other_words == words[:1], "MindSpore's own is for itself alone"
