"""Command line: ``python -m inceptionv4 show|import|export``."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from common.signals import note_kept_work, take_signals_from_mindspore

if __name__ == "__main__":
    take_signals_from_mindspore()

from common.cli import module_command, print_next, run_command
from common.options import (CheckedOptions, Subcommand, device_option, option, run_subcommand,
                            weights_option)
from common.text import counted, first_of
from inceptionv4 import BICUBIC
from inceptionv4.exchange.foreign import LIBRARIES

CLASSES_SHOWN = 10


@dataclass(frozen=True)
class ShowCheckpointRequest:
    """The arguments of ``python -m inceptionv4 show``."""

    checkpoint: Path = option(help="a .ckpt file with its .meta next to it", positional=True)


@dataclass(frozen=True)
class ImportRequest:
    """The arguments of ``python -m inceptionv4 import``."""

    file: Path = option(help="timm: inception_v4 as .safetensors; mindcv: its .ckpt",
                        positional=True)
    library: str = option(help="the library that saved the file", flag="--from",
                          choices=LIBRARIES)
    out: Path = option(help="a .ckpt to write; its .meta is written next to it")
    prefix: Optional[str] = option(
        None, "what precedes the parameters' names, e.g. module., where the file has the network "
        "several times (default: recognised)")


@dataclass(frozen=True)
class ExportRequest(CheckedOptions):
    """The arguments of ``python -m inceptionv4 export``."""

    checkpoint: Path = option(help="a .ckpt file with its .meta next to it")
    format: str = option(help="mindir: for MindSpore and MindSpore Lite; onnx: for others",
                         choices=("mindir", "onnx"))
    out: Path = option(help="file to write, .mindir or .onnx")
    batch_size: int = option(1, "images per call, the N that is fixed in the file", low=1)
    weights: Optional[str] = weights_option()
    device: str = device_option()


def main() -> None:
    run_subcommand("python -m inceptionv4", "Show, import and export checkpoints.", SUBCOMMANDS)


# The functions below import what needs MindSpore, which --help should not wait for.


def _show(request: ShowCheckpointRequest) -> None:
    from inceptionv4.checkpoint import read_checkpoint
    meta, parameters = read_checkpoint(request.checkpoint)
    names = (first_of(meta.class_labels, CLASSES_SHOWN) if meta.class_names else
             "their names are not in it")
    error = "" if meta.top1_error is None else f"; top-1 error {meta.top1_error:.2f} %, single crop"
    print("\n".join([
        f"checkpoint: {request.checkpoint}, whole",
        f"sha256: {meta.ckpt_sha256}",
        f"classes: {meta.num_classes:,} ({names})",
        f"images: {meta.image_size} px, normalised with mean {meta.mean}, std {meta.std}, resized "
        f"{meta.interpolation or BICUBIC} where it is evaluated",
        f"imported from: {meta.imported_from}" if meta.imported_from else
        f"trained: {counted(meta.epoch, 'epoch')}, {counted(meta.step, 'step')}{error}",
        f"averaged weights: {f'decay {meta.ema_decay}' if meta.ema_decay else 'none'}",
        f"batch norm: decay {meta.batch_norm_decay}",
        f"parameters: {sum(value.size for value in parameters.values()):,} values in "
        f"{counted(len(parameters), 'array')}, moving averages and optimiser state included"]))


def _import(request: ImportRequest) -> None:
    from inceptionv4.checkpoint import read_meta
    from inceptionv4.exchange.importer import import_checkpoint
    done = import_checkpoint(request.file, request.library, request.out, request.prefix)
    meta = read_meta(request.out)
    print(f"{request.out}: {counted(done.arrays, 'array')}, {counted(meta.num_classes, 'class')}, "
          f"mean {meta.mean}, std {meta.std}, images resized {meta.interpolation}")
    if done.prefix:
        print(f"names: those with '{done.prefix}' before them")
    if done.counters:
        print(f"left out: {counted(done.counters, 'array')} named *.num_batches_tracked, PyTorch's "
              "counts of training steps, which the network does not read")
    if done.other_arrays:
        print(f"left out: {counted(done.other_arrays, 'array')} of the same network with other "
              "prefixes")
    print("class names: not in such a file; the evaluation compares the number of classes alone")
    print_next(module_command("evaluate", "--records", "records/val", "--checkpoint", request.out,
                              "--crops", 1, "--out", "results/crops-1"))


def _export(request: ExportRequest) -> None:
    from inceptionv4.device import setup_device
    from inceptionv4.exchange.exporter import export_checkpoint
    note_kept_work(f"{request.out} is not written; start it again")
    print(setup_device(request.device).describe(), flush=True)
    difference = export_checkpoint(request.checkpoint, request.format, request.out,
                                   request.batch_size, request.weights)
    if difference is None:
        print(f"{request.out}: written but NOT checked, since onnxruntime is not installed; "
              "to check it: pip install onnxruntime, then export again")
    else:
        print(f"{request.out}: checked by running it; no logit differs from the checkpoint's by "
              f"more than {difference:.2g}")


SUBCOMMANDS = (
    Subcommand("show", ShowCheckpointRequest, _show, "check a checkpoint and describe it",
               "Check a checkpoint against its digest and describe it."),
    Subcommand("import", ImportRequest, _import,
               "convert another library's weights into a checkpoint",
               "Convert another library's weights into a checkpoint with that library's input "
               "statistics and its way to resize images; pickle files are refused."),
    Subcommand("export", ExportRequest, _export, "write a checkpoint as MindIR or ONNX",
               "Write a checkpoint as one file that takes uint8 images (N, S, S, 3) in RGB, S the "
               "checkpoint's image_size, normalises them itself and gives float32 logits "
               "(N, classes). The file is run and compared with the checkpoint before it is kept."),
)


if __name__ == "__main__":
    sys.exit(run_command(main))
