"""What ``python -m evaluate`` does: a checkpoint and a record set to a result folder."""

from pathlib import Path
from typing import Any

from common import RequestError
from convert import RecordSet, open_records
from evaluate.evaluator import Evaluator
from evaluate.protocols import protocol_of
from evaluate.results import claim_folder, describe_protocol, write_results
from inceptionv4 import CheckpointMeta, InceptionV4, load_checkpoint, read_meta, setup_device


def evaluate_checkpoint(records: Path, checkpoint: Path, crops: int, out: Path,
                        views_per_step: int, device: str, workers: int) -> dict[str, Any]:
    """Evaluate and write the result folder; returns the content of ``result.json``.

    Everything that can be wrong with the request is looked at before the network runs.

    Raises:
        RequestError: records, checkpoint or folder cannot be used, or do not fit together.
    """
    record_set, meta = open_records(records), read_meta(checkpoint)
    check_same_classes(record_set, records, meta, checkpoint)
    protocol = protocol_of(crops, meta.image_size)
    about = {**describe_protocol(protocol), **describe_inputs(record_set, meta, checkpoint)}
    claim_folder(out, about)
    print(setup_device(device).describe(), flush=True)
    network = InceptionV4(meta.num_classes, meta.batch_norm_decay)
    load_checkpoint(checkpoint, network)
    evaluator = Evaluator(network, protocol, meta.mean, meta.std, views_per_step, workers)
    return write_results(out, about, evaluator.run(record_set))


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


def describe_inputs(record_set: RecordSet, meta: CheckpointMeta,
                    checkpoint: Path) -> dict[str, Any]:
    return {
        "checkpoint": str(checkpoint), "checkpoint_sha256": meta.ckpt_sha256,
        "records": str(record_set.folder), "records_sha256": record_set.sha256,
        "split": record_set.split, "classes": len(record_set.class_names),
        "has_blacklist": record_set.has_blacklist,
    }
