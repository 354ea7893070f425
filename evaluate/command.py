"""What ``python -m evaluate`` does: a checkpoint and a record set to a result folder."""

import importlib.metadata
import os
import platform
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Optional

import numpy as np

from blacklist.ids import Blacklist, load_blacklist
from common.cli import DUMP_FOLDER, RequestError, shown_command, typed_command
from common.files import sha256_of_lines, write_json, write_text
from common.forms import CONFIG
from common.origin import origin
from common.signals import note_kept_work, saving_work
from common.text import counted, short_digest
from convert.records.reader import RecordSet, open_records
from convert.sources.names import validation_id
from evaluate.class_names import NetworkClasses, network_classes
from evaluate.evaluator import Evaluator, check_rows
from evaluate.predictions import (Predictions, missing_rows, opened_parts, read_parts, remove_parts,
                                  rows_of_rank, save_predictions, saved_rows, write_parts)
from evaluate.protocols import Protocol, protocol_of
from evaluate.request import Request
from evaluate.result_folder import claim_result_folder, finished_result
from evaluate.result_page import result_page
from evaluate.results import (CLASSES_NAME, JSON_NAME, PAGE_NAME, PREDICTIONS_NAME, ROWS_NAME,
                              EvaluationSpeed, Result, score, score_curve)
from evaluate.tables import (append_result, check_results_file, write_classes,
                             write_result_rows)
from inceptionv4.checkpoint import load_checkpoint, weights_of
from inceptionv4.device import (COMPILING_TAKES, Device, barrier, setup_device,
                                started_by_launcher)
from inceptionv4.meta import CheckpointMeta, read_meta
from inceptionv4.network import InceptionV4
from inceptionv4.precision import cast_cells

COMPUTED_BY = ("mindspore", "numpy", "pillow")  # the network, means, decoding and resizing


def evaluate_checkpoint(request: Request) -> bool:
    """Evaluate and write the result folder, or resume what an earlier run left unfinished in it.

    Everything that can be wrong with the request is checked before the network runs. Under a
    launcher each rank takes its share of the images, and rank 0 waits for the others. A finished
    result is left as it is, unless --again is given.

    Returns:
        Whether this process is the one to show the result: true on rank 0.

    Raises:
        RequestError: records, checkpoint or folder cannot be used, or do not fit together.
    """
    note_kept_work(f"the images that were evaluated are kept in {request.out}; the same command "
                   f"resumes: {shown_command()}")
    records, meta = open_records(request.records), read_meta(request.checkpoint)
    records.readers(threads=1)  # refuses a limit on open files that is too low
    classes = network_classes(records, meta, request.checkpoint, request.class_names)
    protocol = protocol_of(request.crops, meta.image_size, request.scales,
                           request.interpolation or meta.interpolation, request.single_crop)
    blacklist = blacklist_for(records, request.blacklist)
    planned = _plan_result(request, records, meta, protocol, blacklist, classes)
    if request.results_file:
        check_results_file(request.results_file)
    claim_result_folder(request.out, planned)
    result = finished_result(request.out, request.again, request.curve,
                             request.keep_probabilities)
    if result is not None:
        print(f"{request.out} has this result already: it is shown (--again computes it anew)")
        is_first = not started_by_launcher() or setup_device(request.device).rank == 0
    else:
        device = _begin(request, records.images)
        evaluator = _load_evaluator(request, meta, protocol, device)
        result = _evaluate(evaluator, planned, records, classes, blacklist, request.out, device)
        is_first = device.rank == 0
    if request.results_file and result is not None and is_first:
        append_result(request.results_file, result)
    return is_first


def _begin(request: Request, images: int) -> Device:
    """Return the device; print what is evaluated on it."""
    os.environ.setdefault(DUMP_FOLDER, f"{request.out}-log")  # the launcher's, where there is one
    device = setup_device(request.device, precision=request.precision)
    print(f"evaluating {request.checkpoint} on {counted(images, 'image')} of {request.records}, "
          f"{counted(request.crops, 'crop')} each; the result goes into {request.out}\n"
          f"{device.describe()}", flush=True)
    return device


def _evaluate(evaluator: Evaluator, planned: Result, records: RecordSet, classes: NetworkClasses,
              blacklist: Optional[Blacklist], out: Path, device: Device) -> Optional[Result]:
    """Classify the images of this rank; rank 0 writes the result of all and returns it, the others
    return None."""
    identity = _identity(planned, evaluator, device)
    with opened_parts(out, identity, alone=device.rank == 0) as folder:
        _classify_share(evaluator, records, folder, device)
        if device.rank > 0:
            return None
        result, predictions = _merge(planned, records, folder, evaluator, device)
        predictions = replace(predictions, label=classes.labels[predictions.label])
        result = write_results(out, result, mark(predictions, blacklist))
        remove_parts(folder)
        return result


def run_of(checkpoint: Path) -> Optional[Path]:
    """Return the run folder that the checkpoint is in, itself or in its folder of checkpoints."""
    return next((folder for folder in (checkpoint.parent, checkpoint.parent.parent)
                 if (folder / CONFIG).exists()), None)


def _load_evaluator(request: Request, meta: CheckpointMeta, protocol: Protocol, device: Device
                    ) -> Evaluator:
    """Return the evaluator of the checkpoint; RequestError if it is no longer the one of ``meta``.
    """
    network = cast_cells(InceptionV4(meta.num_classes, meta.batch_norm_decay), request.precision)
    if load_checkpoint(request.checkpoint, network, request.weights) != meta:
        raise RequestError(f"checkpoint '{request.checkpoint}' was replaced while the evaluation "
                           "started; start it again")
    workers = request.workers or device.cores
    return Evaluator(network, protocol, meta.mean, meta.std, request.views_per_step, workers,
                     request.curve, request.keep_probabilities)


def _plan_result(request: Request, records: RecordSet, meta: CheckpointMeta, protocol: Protocol,
                 blacklist: Optional[Blacklist], classes: NetworkClasses) -> Result:
    """Return the result as far as it is known before the network has run."""
    listed, check = blacklist or records.manifest.blacklist, records.manifest.ilsvrc
    return Result(
        crops=protocol.crops, image_size=protocol.image_size, scales=list(protocol.scales),
        curve_crops=list(protocol.curve), checkpoint=str(request.checkpoint),
        checkpoint_sha256=meta.ckpt_sha256, mean=list(meta.mean), std=list(meta.std),
        records=str(records.folder), records_sha256=records.sha256, split=records.split,
        classes=len(classes.names), has_blacklist=listed is not None,
        blacklist_sha256=listed.sha256 if listed else None,
        class_names=classes.names, class_names_sha256=sha256_of_lines(classes.names)
        if request.class_names else None, interpolation=protocol.interpolation,
        single_crop=protocol.single_crop,
        is_ilsvrc=bool(check and check.labels and check.class_names),
        blacklist_is_ilsvrc=bool(listed and listed.is_ilsvrc), sets={},
        precision=request.precision, argv=typed_command(),
        weights=weights_of(request.checkpoint, meta, request.weights),
        class_words=classes.words if any(classes.words) else None,
        has_ilsvrc_names=records.manifest.has_ilsvrc_names)


def blacklist_for(records: RecordSet, path: Optional[Path]) -> Optional[Blacklist]:
    """Return the blacklist at ``path`` for records that were converted without one, checked against
    the ids of all rows: ids decide, not positions. None without a path.

    Raises:
        RequestError: the records' ids are not numbers of validation images, the list has an id
            that is not among them, or they were converted with another list.
    """
    if path is None:
        return None
    ids = _validation_ids(records, path)
    rejected = {validation_id(os.path.basename(note.file_name)) or 0
                for note in records.manifest.rejected}
    blacklist = load_blacklist(path, max(ids | rejected))
    earlier = records.manifest.blacklist
    if earlier and earlier.sha256 != blacklist.sha256:
        raise RequestError(f"{records.folder} was converted with another blacklist (sha256 "
                           f"{short_digest(earlier.sha256)}) than {path} "
                           f"({short_digest(blacklist.sha256)}); leave --blacklist out or convert "
                           "again")
    unknown = sorted(blacklist.ids - ids - rejected)
    if unknown:
        raise RequestError(f"{path} lists image id {unknown[0]}, which is not in {records.folder} "
                           f"({len(unknown):,} such ids): it belongs to another validation set")
    return blacklist


def _validation_ids(records: RecordSet, path: Path) -> set[int]:
    """Return the ids of all rows, if they are the numbers in the names of validation images."""
    ids = set()
    for row in records.rows(["image_id", "file_name"]):
        image_id, name = int(row["image_id"]), str(row["file_name"])
        if records.split != "val" or validation_id(os.path.basename(name)) != image_id:
            raise RequestError(f"{path} lists validation images by number, but the image ids of "
                               f"{records.folder} ({records.split}) are positions ('{name}' has "
                               f"{image_id}); leave --blacklist out, or convert them again with "
                               "the list (--ids-are-positions if it counts positions)")
        ids.add(image_id)
    return ids


def _identity(planned: Result, evaluator: Evaluator, device: Device) -> dict[str, Any]:
    """Return all that decides the bits of a row's prediction; parts that differ in it do not mix.

    The blacklist is not among it: it marks the rows only when the parts are merged.
    """
    identity = {**planned.identity, "curve_crops": planned.curve_crops,
                "views_per_step": evaluator.step.views, "images_per_step": evaluator.step.images,
                "curve": evaluator.curve, "device": device.name, **_versions()}
    del identity["blacklist_sha256"]
    if evaluator.keep_probabilities:  # a key that older parts, which have none, do not have
        identity["probabilities"] = True
    return identity


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in COMPUTED_BY}


def _classify_share(evaluator: Evaluator, records: RecordSet, folder: Path,
                    device: Device) -> None:
    """Classify the rows of this rank that are not yet in ``folder``, into parts there."""
    rows = rows_of_rank(records.images, evaluator.step.images, device.rank, device.ranks)
    missing = missing_rows(saved_rows(folder), rows)
    barrier(device)  # all ranks have read the folder before the first one can remove the parts
    images = sum(map(len, missing))
    if images < len(rows):
        print(f"{len(rows) - images:,} of {len(rows):,} images are in {folder}: resuming from "
              "there", flush=True)
    if missing:
        if device.rank == 0:
            print(f"compiling the network ({COMPILING_TAKES})", flush=True)
        groups = evaluator.classify(records, missing)
        first = next(groups)  # compiles meanwhile: a signal need not wait for that
        with saving_work():
            write_parts(folder, chain([first], groups))


def _merge(planned: Result, records: RecordSet, folder: Path, evaluator: Evaluator,
           device: Device) -> tuple[Result, Predictions]:
    """Return ``planned`` with what is known now, and the predictions of all ranks, each image
    once."""
    whole = read_parts(folder, records.images)
    check_rows(records, whole.predictions)
    speed = EvaluationSpeed(device.ranks, len(whole.rows) / whole.seconds,
                            whole.waiting / whole.seconds, whole.seconds)
    versions = {"python": platform.python_version(), **_versions()}
    parameters = sum(each.size for each in evaluator.network.trainable_params())
    result = replace(planned, device=device.name, arithmetic=device.arithmetic, speed=speed,
                     versions=versions, param_count=parameters, made=origin())
    return result, whole.predictions


def mark(predictions: Predictions, blacklist: Optional[Blacklist]) -> Predictions:
    """Return the predictions with the list's flags; unchanged where there is no list."""
    if blacklist is None:
        return predictions
    listed = np.isin(predictions.image_id, np.fromiter(blacklist.ids, np.int32))
    return replace(predictions, blacklisted=listed)


def write_results(folder: Path, planned: Result, predictions: Predictions) -> Result:
    """Score the predictions and write all files of the result.

    ``result.json`` is the last one: where it exists, the others do, too.

    Returns:
        ``planned`` with the scores and, where the predictions have ranks of labels, the curve.
    """
    result = replace(planned, sets=score(predictions))
    if predictions.label_rank is not None:
        result = replace(result, curve=score_curve(predictions, planned.curve_crops or []))
    save_predictions(folder / PREDICTIONS_NAME, predictions)
    write_classes(folder / CLASSES_NAME, predictions,
                  result.class_names or [str(label) for label in range(result.classes)])
    write_result_rows(folder / ROWS_NAME, result)
    write_text(folder / PAGE_NAME, result_page(result))
    write_json(folder / JSON_NAME, result.to_json())
    return result
