"""What ``python -m evaluate predict`` does: the best classes of single images."""

from pathlib import Path
from typing import Sequence

import numpy as np
from PIL import Image

from common.cli import RequestError
from common.files import sha256_of_lines
from convert.records.reader import open_records
from evaluate.evaluator import Evaluator, mean_of_views
from evaluate.predictions import best_classes
from evaluate.protocols import VIEWS_PER_STEP, protocol_of
from evaluate.request import PredictRequest
from evaluate.views import UNDECODABLE, cut_views, decode_rgb
from inceptionv4.checkpoint import CheckpointMeta, load_checkpoint, read_meta
from inceptionv4.device import setup_device
from inceptionv4.network import InceptionV4


def predict_images(request: PredictRequest) -> str:
    """Return the five most probable classes of each image, as lines for the terminal.

    Raises:
        RequestError: a file that is no image, a checkpoint that cannot be used, or class names
            that are not its own.
    """
    meta = read_meta(request.checkpoint)
    names = class_names(meta, request)
    protocol = protocol_of(request.crops, meta.image_size, request.scales)
    cut = [cut_views(_decode(path), protocol) for path in request.images]
    setup_device(request.device)
    network = InceptionV4(meta.num_classes, meta.batch_norm_decay)
    load_checkpoint(request.checkpoint, network)
    evaluator = Evaluator(network, protocol, meta.mean, meta.std,
                          views_per_step=min(VIEWS_PER_STEP, len(cut[0])))
    evaluator.classifier.set_train(False)
    views = np.concatenate([evaluator.view_probabilities([path], [one])
                            for path, one in zip(request.images, cut)])
    return _describe(request.images, mean_of_views(views, request.crops), names)


def class_names(meta: CheckpointMeta, request: PredictRequest) -> list[str]:
    """Return the names in label order, from a record set or a text file; else label numbers.

    Raises:
        RequestError: the classes are not the checkpoint's.
    """
    if request.records is not None:
        source, names = request.records, open_records(request.records).class_names
    elif request.classes is not None:
        source, names = request.classes, _lines(request.classes)
    else:
        return [f"label {label}" for label in range(meta.num_classes)]
    known = meta.class_names_sha256 in ("", sha256_of_lines(names))
    if len(names) != meta.num_classes or not known:
        raise RequestError(f"the {len(names)} class names of {source} are not those that the "
                           f"checkpoint was trained on ({meta.num_classes} classes): give the "
                           "right ones, sorted, or leave them out to see label numbers")
    return names


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise RequestError(f"{path} is not a text file; put one class name per line") from None


def _decode(path: Path) -> Image.Image:
    encoded = path.read_bytes()
    try:
        return decode_rgb(encoded)
    except UNDECODABLE as error:
        raise RequestError(f"{path} cannot be decoded ({error}); give images") from error


def _describe(images: Sequence[Path], probabilities: np.ndarray, names: Sequence[str]) -> str:
    lines = []
    for path, shares, best in zip(images, probabilities, best_classes(probabilities)):
        lines += [str(path), *(f"  {100 * shares[label]:6.2f} %  {names[label]}"
                               for label in best)]
    return "\n".join(lines)
