"""JPEG decoders alone, for ``python -m benchmarks convert``: the bound of ``--check decode``.

``python -m benchmarks.conversion.decoders NAME TRAIN WORKERS`` decodes the class folders of
TRAIN and keeps nothing: a process of its own, so that start-up counts for every row.
"""

import io
import sys
from pathlib import Path
from typing import Callable, List

from joblib import Parallel, delayed
from PIL import Image

from common.cli import run_command
from common.jpeg import prefer_pillows_libjpeg
from convert.images import ImageChecks, check_image

OURS = "decoder alone: Pillow at 1/8, ours"


def _decode_with_pillow(data: bytes) -> None:
    Image.open(io.BytesIO(data)).load()


def _decode_with_mindspore(data: bytes) -> None:
    import numpy as np
    from mindspore.dataset import vision
    vision.Decode()(np.frombuffer(data, np.uint8))


DECODERS: dict[str, Callable[[bytes], object]] = {
    OURS: lambda data: check_image(data, ImageChecks()),
    "decoder alone: Pillow, whole": _decode_with_pillow,
    "decoder alone: MindSpore": _decode_with_mindspore,
}


def _decode_files(name: str, paths: List[Path]) -> None:
    prefer_pillows_libjpeg()  # in joblib's worker, which runs no command of its own
    decode = DECODERS[name]
    for path in paths:
        decode(path.read_bytes())


def main() -> None:
    name, train, workers = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    paths = sorted(train.glob("*/*"))
    Parallel(workers)(delayed(_decode_files)(name, paths[k::workers]) for k in range(workers))


if __name__ == "__main__":
    sys.exit(run_command(main))
