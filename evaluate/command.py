"""What ``python -m evaluate`` does: a checkpoint and a record set to a result folder."""

import importlib.metadata
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from blacklist.ids import Blacklist
from common.cli import RequestError
from common.host import available_cores
from convert.records.reader import RecordSet, open_records
from evaluate.evaluator import Evaluator, check_rows
from evaluate.filtered_set import blacklist_for, mark
from evaluate.parts import (PartWriter, missing_rows, opened_parts, read_parts,
                            remove_parts, rows_of_rank, saved_rows,
                            wait_for_all)
from evaluate.predictions import Part
from evaluate.protocols import Protocol, protocol_of
from evaluate.request import Request
from evaluate.results import claim_folder, describe_protocol, write_results
from inceptionv4.checkpoint import CheckpointMeta, load_checkpoint, read_meta
from inceptionv4.device import Device, barrier, setup_device
from inceptionv4.network import InceptionV4

COMPUTED_BY = ("mindspore", "numpy", "pillow", "numba")  # decoding, resizing, the network, means


@dataclass(frozen=True)
class Task:
    """A request that was looked at: what it names is there and fits together."""

    request: Request
    records: RecordSet
    meta: CheckpointMeta
    protocol: Protocol
    blacklist: Optional[Blacklist]
    about: dict[str, Any]  # what the result is of


def evaluate_checkpoint(request: Request) -> bool:
    """Evaluate and write the result folder, or go on with what is there of it.

    Everything that can be wrong with the request is looked at before the network runs. Under a
    launcher each rank takes its share of the images, and rank 0 waits for the others.

    Returns:
        Whether this process wrote the result: true on rank 0.

    Raises:
        RequestError: records, checkpoint or folder cannot be used, or do not fit together.
    """
    task = check_request(request)
    device = setup_device(request.device)
    print(device.describe(), flush=True)
    evaluator = _build_evaluator(task, device)
    with opened_parts(request.out, _identity(task, evaluator, device), device.rank == 0) as folder:
        _classify_share(evaluator, task.records, folder, device)
        if device.rank == 0:
            _finish(task, folder, device)
    return device.rank == 0


def check_request(request: Request) -> Task:
    """RequestError for what can be seen without loading the network."""
    records, meta = open_records(request.records), read_meta(request.checkpoint)
    check_same_classes(records, request.records, meta, request.checkpoint)
    protocol = protocol_of(request.crops, meta.image_size, request.scales)
    blacklist = blacklist_for(records, request.blacklist)
    about = {**describe_protocol(protocol),
             **describe_inputs(records, meta, request.checkpoint, blacklist)}
    claim_folder(request.out, about)
    return Task(request, records, meta, protocol, blacklist, about)


def _build_evaluator(task: Task, device: Device) -> Evaluator:
    meta, request = task.meta, task.request
    network = InceptionV4(meta.num_classes, meta.batch_norm_decay)
    load_checkpoint(request.checkpoint, network)
    workers = request.workers or max(1, available_cores() // device.local_ranks)
    return Evaluator(network, task.protocol, meta.mean, meta.std, request.views_per_step, workers,
                     request.curve)


def _identity(task: Task, evaluator: Evaluator, device: Device) -> dict[str, Any]:
    """All that decides the bits of a row's prediction; parts that differ in it do not mix."""
    return {**describe_protocol(task.protocol), "checkpoint_sha256": task.meta.ckpt_sha256,
            "records_sha256": task.records.sha256, "views_per_step": evaluator.step.views,
            "images_per_step": evaluator.step.images, "curve": evaluator.curve,
            "mean": list(task.meta.mean), "std": list(task.meta.std),
            "device": device.name, **_versions()}


def _versions() -> dict[str, str]:
    """Of what decodes, resizes and computes."""
    return {name: importlib.metadata.version(name)
            for name in ("mindspore", "numba", "numpy", "pillow")}


def _classify_share(evaluator: Evaluator, records: RecordSet, folder: Path,
                    device: Device) -> None:
    """Classify what is missing of this rank's rows, into parts in ``folder``."""
    rows = rows_of_rank(records.images, evaluator.step.images, device.rank, device.ranks)
    missing = missing_rows(saved_rows(folder), rows)
    barrier(device)  # all have looked before the first one can remove the parts
    if sum(map(len, missing)) < len(rows):
        print(f"{len(rows) - sum(map(len, missing)):,} of {len(rows):,} images are in {folder}: "
              "going on from there", flush=True)
    if missing:
        with PartWriter(folder) as writer:
            for group in evaluator.classify(records, missing):
                writer.add(group)


def _finish(task: Task, folder: Path, device: Device) -> None:
    """Merge the parts of all ranks, check that every image is there once, write the result."""
    wait_for_all(folder, task.records.images)
    whole = read_parts(folder, task.records.images)
    check_rows(task.records, whole.predictions)
    about = {**task.about, "device": device.name, "versions": describe_versions(),
             "speed": describe_speed(whole, device.ranks)}
    write_results(task.request.out, about, mark(whole.predictions, task.blacklist))
    remove_parts(folder)


def describe_speed(whole: Part, ranks: int) -> dict[str, Any]:
    """Compiling and starting excluded; an evaluation that went on counts all its sittings."""
    return {"ranks": ranks, "seconds_of_all_ranks": whole.seconds,
            "images_per_second_per_rank": len(whole.rows) / whole.seconds,
            "waiting_for_data": whole.waiting / whole.seconds}


def describe_versions() -> dict[str, str]:
    """Of what computes a result."""
    return {"python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in COMPUTED_BY}}


def check_same_classes(record_set: RecordSet, records: Path, meta: CheckpointMeta,
                       checkpoint: Path) -> None:
    """RequestError unless a label means the same to the checkpoint and to the records.

    A checkpoint whose class names are unknown (an imported one) is compared by count alone.
    """
    classes = len(record_set.class_names)
    if classes != meta.num_classes:
        raise RequestError(f"{checkpoint} has {meta.num_classes} classes but {records} has "
                           f"{classes}: evaluate it on records of the classes it was trained on")
    if meta.class_names_sha256 not in ("", record_set.class_names_sha256):
        raise RequestError(f"{checkpoint} and {records} both have {classes} classes, but with "
                           "other names: evaluate it on records of the classes it was trained on")


def describe_inputs(records: RecordSet, meta: CheckpointMeta, checkpoint: Path,
                    blacklist: Optional[Blacklist]) -> dict[str, Any]:
    """What the result is of; ``is_ilsvrc`` and ``blacklist_is_ilsvrc`` by their digests."""
    listed, check = blacklist or records.manifest.blacklist, records.manifest.ilsvrc
    return {
        "checkpoint": str(checkpoint), "checkpoint_sha256": meta.ckpt_sha256,
        "mean": list(meta.mean), "std": list(meta.std),
        "records": str(records.folder), "records_sha256": records.sha256,
        "split": records.split, "classes": len(records.class_names),
        "has_blacklist": listed is not None,
        "blacklist_sha256": listed.sha256 if listed else None,
        "is_ilsvrc": bool(check and check.labels and check.class_names),
        "blacklist_is_ilsvrc": bool(listed and listed.is_ilsvrc),
    }
