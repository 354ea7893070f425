"""JPEGs on whose headers MindSpore's decoder would end the process are refused, and no others."""

import io
import pickle
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from convert.images import HEAD_BYTES, BadImage, ImageChecks, check_image, check_jpeg_file

DQT, DHT, SOF, SOS = b"\xff\xdb", b"\xff\xc4", b"\xff\xc0", b"\xff\xda"
END = b"\xff\xd9"


def jpeg(mode="RGB", **options):
    pixels = np.random.default_rng(0).integers(0, 255, (70, 90, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


WHOLE = jpeg()
FRAME, SCAN = WHOLE.index(SOF), WHOLE.index(SOS)


def changed(at, *values):
    return WHOLE[:at] + bytes(values) + WHOLE[at + len(values):]


def without(marker, data=WHOLE):
    at = data.index(marker)
    return data[:at] + data[at + 2 + int.from_bytes(data[at + 2:at + 4], "big"):]


DAMAGED = {
    "no height": changed(FRAME + 5, 0, 0),
    "no width": changed(FRAME + 7, 0, 0),
    "no components": changed(FRAME + 9, 0),
    "two components": changed(FRAME + 9, 2),
    "no sampling": changed(FRAME + 11, 0),
    "a sampling of 5": changed(FRAME + 11, 0x55),
    "fractional sampling": changed(FRAME + 11, 0x32, 0, 2, 0x21),
    "a missing quantisation table": without(DQT),
    "another quantisation table than there is": changed(FRAME + 12, 3),
    "a Huffman table that is too long": changed(WHOLE.index(DHT) + 5, *[255] * 16),
    "no frame": without(SOF),
    "two frames": WHOLE[:SCAN] + WHOLE[FRAME:],
    "no scan": without(SOS),
    "an end after the length of the scan's header": WHOLE[:SCAN + 2] + b"\0\2",
    "components that the frame does not have": changed(SCAN + 5, 9),
    "12 bits": changed(FRAME + 4, 12),
    "an unknown way of coding": changed(FRAME + 1, 0xC5),
    "losslessly coded": changed(FRAME + 1, 0xC3),
    "an unknown marker": WHOLE[:FRAME] + b"\xff\x02" + WHOLE[FRAME:],
    "cut before the frame": WHOLE[:FRAME] + END,
    "cut in the frame": WHOLE[:FRAME + 8] + END,
    "cut before the scan": WHOLE[:SCAN] + END,
    "cut in the scan's header": WHOLE[:SCAN + 6] + END,
    "a later scan of a progressive JPEG without its table":
        without(DHT, jpeg(progressive=True)),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_headers_are_refused(damage, tmp_path):
    for decode in (False, True):
        with pytest.raises(BadImage):
            check_image(DAMAGED[damage], ImageChecks(decode))
    (tmp_path / "1.jpeg").write_bytes(DAMAGED[damage])
    with pytest.raises(BadImage):
        check_jpeg_file(tmp_path / "1.jpeg")


@pytest.mark.parametrize("data", [
    WHOLE, jpeg("L"), jpeg(subsampling=0), jpeg(subsampling=1), jpeg(progressive=True),
    jpeg("L", progressive=True), jpeg(optimize=True), jpeg(restart_marker_blocks=2),
    WHOLE[:FRAME] + b"\xff\xff" + WHOLE[FRAME:],  # bytes that fill up
    without(DHT),  # as in Motion JPEG: libjpeg has the usual tables
    WHOLE[:2] + (b"\xff\xe1\xff\xff" + bytes(0xFFFD)) * 2 + WHOLE[2:]])  # headers of 128 KB
def test_good_headers_are_accepted(data, tmp_path):
    assert check_image(data, ImageChecks(decode=False)).data == data
    (tmp_path / "1.jpeg").write_bytes(data)
    check_jpeg_file(tmp_path / "1.jpeg")


def test_a_good_progressive_file_is_read_to_its_last_scan(tmp_path):
    """Tables may stand between its scans, long after the headers."""
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", progressive=True, quality=95)
    data = buffer.getvalue()
    assert HEAD_BYTES < data.rindex(DHT) < len(data)
    (tmp_path / "1.jpeg").write_bytes(data)
    check_jpeg_file(tmp_path / "1.jpeg")


def test_only_headers_of_a_file_are_read_and_only_of_a_jpeg(tmp_path):
    """What MindSpore reports itself is left to it."""
    assert SCAN < HEAD_BYTES
    for data in (WHOLE[:-200], jpeg("CMYK"), b"no image", b"", b"\x89PNG\r\n"):
        (tmp_path / "1.jpeg").write_bytes(data)
        check_jpeg_file(tmp_path / "1.jpeg")


DECODING = """
import pickle, sys
from common.jpeg import prefer_pillows_libjpeg
prefer_pillows_libjpeg()
import numpy as np
from mindspore.dataset import vision
for data in pickle.load(sys.stdin.buffer):
    try:
        vision.RandomCropDecodeResize(32)(np.frombuffer(data, np.uint8))
    except RuntimeError:
        pass
"""


def mutant(rng):
    """A JPEG with a few bytes of its headers changed."""
    data = bytearray(WHOLE if rng.random() < 0.7 else jpeg(progressive=True))
    for _ in range(rng.integers(1, 3)):
        data[rng.integers(2, data.index(SOS) + 14)] = rng.choice([0, 1, 2, 255, rng.integers(256)])
    return bytes(data)


def test_mindspores_decoder_survives_what_is_accepted():
    rng, accepted = np.random.default_rng(0), []
    for _ in range(400):
        data = mutant(rng)
        try:
            accepted.append(check_image(data, ImageChecks(decode=False)).data)
        except BadImage:
            pass
    assert 50 < len(accepted) < 350
    done = subprocess.run([sys.executable, "-c", DECODING], input=pickle.dumps(accepted),
                          capture_output=True)
    assert done.returncode == 0, done.stderr
