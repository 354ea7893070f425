"""What ``python -m evaluate predict`` does: the best classes of single images."""

import sys
from pathlib import Path

from PIL import Image

from common.cli import RequestError
from common.files import read_bytes, read_lines
from common.jpeg import UNDECODABLE
from common.signals import note_kept_work
from common.text import class_label, counted
from convert.records.reader import open_records
from evaluate.class_names import check_class_names
from evaluate.evaluator import Evaluator, mean_of_views
from evaluate.predictions import best_classes
from evaluate.protocols import protocol_of
from evaluate.request import PredictRequest
from evaluate.views import cut_views, decode_rgb
from inceptionv4.checkpoint import load_checkpoint, weights_of
from inceptionv4.device import COMPILING_TAKES, setup_device
from inceptionv4.meta import CheckpointMeta, read_meta
from inceptionv4.network import InceptionV4
from inceptionv4.precision import cast_cells

VIEWS_PER_STEP = 8  # crops per forward pass: 1.1 GB in all on a CPU; 72 take 2.7 GB


def predict_images(request: PredictRequest) -> str:
    """Return the five most probable classes of each image, as lines for the terminal.

    Raises:
        RequestError: a file that is no image, a checkpoint that cannot be used, or class names
            that are not its own.
    """
    note_kept_work("nothing is written; start it again")
    meta = read_meta(request.checkpoint)
    weights_of(request.checkpoint, meta, request.weights)  # reported before the network runs
    names = class_names(meta, request)
    protocol = protocol_of(request.crops, meta.image_size, request.scales,
                           request.interpolation or meta.interpolation, request.single_crop)
    for path in request.images:
        _decode(path)  # an image that cannot be read is reported before the network runs
    device = setup_device(request.device, precision=request.precision)
    print(f"loading {request.checkpoint} ({counted(meta.num_classes, 'class')}) and compiling its "
          f"network for {device.name}: {COMPILING_TAKES}", file=sys.stderr, flush=True)
    network = cast_cells(InceptionV4(meta.num_classes, meta.batch_norm_decay), request.precision)
    load_checkpoint(request.checkpoint, network, request.weights)
    evaluator = Evaluator(network, protocol, meta.mean, meta.std,
                          views_per_step=min(VIEWS_PER_STEP, protocol.crops // protocol.mirrors))
    evaluator.classifier.set_train(False)
    lines = []
    for path in request.images:
        views = cut_views(_decode(path), protocol)
        shares = mean_of_views(evaluator.view_probabilities([path], [views]), request.crops)
        lines += [str(path), *(f"  {100 * shares[0, label]:6.2f} %  {names[label]}"
                               for label in best_classes(shares)[0])]
    return "\n".join(lines)


def class_names(meta: CheckpointMeta, request: PredictRequest) -> list[str]:
    """Return what to show for each label: names from a record set or a text file, else those that
    the checkpoint holds, else label numbers.

    Raises:
        RequestError: the classes are not the checkpoint's.
    """
    source = request.records or request.classes
    if source is None:
        return meta.class_labels
    if request.records:
        records = open_records(request.records)
        names, words = records.class_names, records.class_words
    else:
        names = [name for name in read_lines(source, "class name") if name]
        words = [""] * len(names)
    check_class_names(names, source, meta, request.checkpoint,
                      ", or leave them out to see those that it holds, or label numbers")
    return list(map(class_label, names, words))


def _decode(path: Path) -> Image.Image:
    encoded = read_bytes(path)
    try:
        return decode_rgb(encoded)
    except UNDECODABLE as error:
        raise RequestError(f"{path} cannot be decoded ({error}); give images") from error
