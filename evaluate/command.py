"""What ``python -m evaluate`` does: a checkpoint and a record set to a result folder."""

import importlib.metadata
import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

from blacklist.ids import Blacklist
from common.cli import RequestError, typed_command
from common.files import write_json, write_text
from common.host import available_cores
from convert.records.reader import RecordSet, open_records
from evaluate.evaluator import Evaluator, check_rows
from evaluate.filtered_set import blacklist_for, mark
from evaluate.parts import (PartWriter, missing_rows, opened_parts, read_parts, remove_parts,
                            rows_of_rank, saved_rows, wait_for_all)
from evaluate.predictions import Predictions, save_predictions
from evaluate.protocols import Protocol, protocol_of
from evaluate.request import Request
from evaluate.result_page import result_page
from evaluate.results import (JSON_NAME, PAGE_NAME, PREDICTIONS_NAME, EvaluationSpeed, Result,
                              claim_result_folder)
from evaluate.scores import score, score_curve
from inceptionv4.checkpoint import CheckpointMeta, load_checkpoint, read_meta
from inceptionv4.device import Device, barrier, setup_device
from inceptionv4.network import InceptionV4

COMPUTED_BY = ("mindspore", "numpy", "pillow")  # the network, means, decoding and resizing


@dataclass(frozen=True)
class Task:
    """A request that was checked: what it names exists and fits together.

    Attributes:
        planned: the result, as far as it is known before the network has run.
    """

    request: Request
    records: RecordSet
    meta: CheckpointMeta
    protocol: Protocol
    blacklist: Optional[Blacklist]
    planned: Result


def evaluate_checkpoint(request: Request) -> bool:
    """Evaluate and write the result folder, or resume what an earlier run left unfinished in it.

    Everything that can be wrong with the request is checked before the network runs. Under a
    launcher each rank takes its share of the images, and rank 0 waits for the others.

    Returns:
        Whether this process wrote the result: true on rank 0.

    Raises:
        RequestError: records, checkpoint or folder cannot be used, or do not fit together.
    """
    task = check_request(request)
    device = setup_device(request.device)
    print(device.describe(), flush=True)
    network = InceptionV4(task.meta.num_classes, task.meta.batch_norm_decay)
    if load_checkpoint(request.checkpoint, network) != task.meta:
        raise RequestError(f"checkpoint '{request.checkpoint}' was replaced while the evaluation "
                           "started; start it again")
    evaluator = Evaluator(network, task.protocol, task.meta.mean, task.meta.std,
                          request.views_per_step,
                          request.workers or max(1, available_cores() // device.local_ranks),
                          request.curve)
    with opened_parts(request.out, _identity(task, evaluator, device), device.rank == 0) as folder:
        _classify_share(evaluator, task.records, folder, device)
        if device.rank == 0:
            _finish(task, folder, device)
    return device.rank == 0


def check_request(request: Request) -> Task:
    """Check all that can be checked without loading the network, and claim the result folder.

    Raises:
        RequestError: see ``evaluate_checkpoint``.
    """
    records, meta = open_records(request.records), read_meta(request.checkpoint)
    check_same_classes(records, request.records, meta, request.checkpoint)
    protocol = protocol_of(request.crops, meta.image_size, request.scales)
    blacklist = blacklist_for(records, request.blacklist)
    listed, check = blacklist or records.manifest.blacklist, records.manifest.ilsvrc
    planned = Result(
        crops=protocol.crops, image_size=protocol.image_size, scales=list(protocol.scales),
        curve_crops=list(protocol.curve), checkpoint=str(request.checkpoint),
        checkpoint_sha256=meta.ckpt_sha256, mean=list(meta.mean), std=list(meta.std),
        records=str(records.folder), records_sha256=records.sha256, split=records.split,
        classes=len(records.class_names), has_blacklist=listed is not None,
        blacklist_sha256=listed.sha256 if listed else None,
        is_ilsvrc=bool(check and check.labels and check.class_names),
        blacklist_is_ilsvrc=bool(listed and listed.is_ilsvrc), sets={}, argv=typed_command())
    claim_result_folder(request.out, planned)
    return Task(request, records, meta, protocol, blacklist, planned)


def check_same_classes(record_set: RecordSet, records: Path, meta: CheckpointMeta,
                       checkpoint: Path) -> None:
    """Check that a label means the same to the checkpoint and to the records.

    A checkpoint whose class names are unknown (an imported one) is compared by count alone.

    Raises:
        RequestError: the classes differ.
    """
    classes = len(record_set.class_names)
    if classes != meta.num_classes:
        raise RequestError(f"{checkpoint} has {meta.num_classes} classes but {records} has "
                           f"{classes}: evaluate it on records of the classes it was trained on")
    if meta.class_names_sha256 not in ("", record_set.class_names_sha256):
        raise RequestError(f"{checkpoint} and {records} both have {classes} classes, but with "
                           "other names: evaluate it on records of the classes it was trained on")


def _identity(task: Task, evaluator: Evaluator, device: Device) -> dict[str, Any]:
    """Return all that decides the bits of a row's prediction; parts that differ in it do not mix.

    The blacklist is not among it: it marks the rows only when the parts are merged.
    """
    identity = {**task.planned.identity, "curve_crops": task.planned.curve_crops,
                "views_per_step": evaluator.step.views, "images_per_step": evaluator.step.images,
                "curve": evaluator.curve, "device": device.name, **_versions()}
    del identity["blacklist_sha256"]
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
        with PartWriter(folder) as writer:
            for group in evaluator.classify(records, missing):
                writer.add(group)


def _finish(task: Task, folder: Path, device: Device) -> None:
    """Merge the parts of all ranks, check that every image appears once, write the result."""
    wait_for_all(folder, task.records.images)
    whole = read_parts(folder, task.records.images)
    check_rows(task.records, whole.predictions)
    speed = EvaluationSpeed(device.ranks, len(whole.rows) / whole.seconds,
                            whole.waiting / whole.seconds, whole.seconds)
    planned = replace(task.planned, device=device.name, speed=speed,
                      versions={"python": platform.python_version(), **_versions()})
    write_results(task.request.out, planned, mark(whole.predictions, task.blacklist))
    remove_parts(folder)


def write_results(folder: Path, planned: Result, predictions: Predictions) -> Result:
    """Score the predictions and write all files of the result.

    ``result.json`` is the last one: where it exists, the others do, too.

    Returns:
        ``planned`` with the scores and, where the predictions have ranks of labels, the curve.
    """
    curve = None
    if predictions.label_rank is not None:
        curve = score_curve(predictions, planned.curve_crops or [])
    result = replace(planned, sets=score(predictions), curve=curve)
    save_predictions(folder / PREDICTIONS_NAME, predictions)
    write_text(folder / PAGE_NAME, result_page(result))
    write_json(folder / JSON_NAME, result.to_json())
    return result
