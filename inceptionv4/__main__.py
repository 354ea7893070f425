"""Command line: ``python -m inceptionv4 show|import|export``."""

import argparse
import sys
from dataclasses import asdict

from common.cli import ArgumentParser, run_command
from inceptionv4.exchange.foreign import ORIGINS
from inceptionv4.options import add_device_option


def main() -> None:
    parser = ArgumentParser(prog="python -m inceptionv4",
                            description="Look at checkpoints, bring them in, hand them on.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=ArgumentParser)
    _add_show(commands)
    _add_import(commands)
    _add_export(commands)
    arguments = parser.parse_args()
    arguments.run(arguments)


def _add_show(commands: argparse._SubParsersAction) -> None:
    about = "check a checkpoint against its digest and say what it holds"
    show = commands.add_parser("show", help=about, description=about)
    show.set_defaults(run=_show)
    show.add_argument("--checkpoint", required=True, help="a .ckpt file, its .meta beside it")


def _add_import(commands: argparse._SubParsersAction) -> None:
    about = ("weights of another library as a checkpoint, with that library's input statistics; "
             "pickle files are refused")
    bring = commands.add_parser("import", help=about, description=about)
    bring.set_defaults(run=_import)
    bring.add_argument("file", help="timm: inception_v4 as .safetensors; mindcv: its .ckpt")
    bring.add_argument("--from", dest="origin", choices=ORIGINS, required=True,
                       help="the library that saved the file")
    bring.add_argument("--out", required=True, help="a .ckpt to write; its .meta goes beside it")


def _add_export(commands: argparse._SubParsersAction) -> None:
    about = ("a checkpoint as one file that takes uint8 images (N, S, S, 3) in RGB, S the "
             "checkpoint's image_size, normalises them itself and gives float32 logits "
             "(N, classes); what was exported is run and compared before it is kept")
    export = commands.add_parser("export", help="a checkpoint as MindIR or ONNX",
                                 description=about)
    export.set_defaults(run=_export)
    export.add_argument("--checkpoint", required=True, help="a .ckpt file, its .meta beside it")
    export.add_argument("--format", choices=("mindir", "onnx"), required=True,
                        help="mindir: for MindSpore and MindSpore Lite; onnx: for others")
    export.add_argument("--out", required=True, help="file to write, .mindir or .onnx")
    export.add_argument("--batch-size", type=int, default=1,
                        help="images a call, the N that is fixed in the file")
    add_device_option(export)


# The functions below import what needs MindSpore: --help should not wait for it.


def _show(arguments: argparse.Namespace) -> None:
    from inceptionv4.checkpoint import read_checkpoint
    meta, parameters = read_checkpoint(arguments.checkpoint)
    for name, value in asdict(meta).items():
        print(f"{name}: {value}")
    print(f"parameters: {sum(value.size for value in parameters.values()):,} values in "
          f"{len(parameters)} arrays, moving averages and optimiser state included")


def _import(arguments: argparse.Namespace) -> None:
    from inceptionv4.exchange.importer import import_checkpoint
    done = import_checkpoint(arguments.file, arguments.origin, arguments.out)
    print(f"{arguments.out}: {done.arrays} arrays, {done.meta.num_classes} classes, "
          f"mean {done.meta.mean}, std {done.meta.std}")
    if done.counters:
        print(f"left out: {done.counters} arrays named *.num_batches_tracked, PyTorch's counts of "
              "training steps, which the network does not read")
    print("class names: not in such a file; the evaluation compares the number of classes alone")


def _export(arguments: argparse.Namespace) -> None:
    from inceptionv4.device import setup_device
    from inceptionv4.exchange.exporter import export_checkpoint
    print(setup_device(arguments.device).describe(), flush=True)
    difference = export_checkpoint(arguments.checkpoint, arguments.format, arguments.out,
                                   arguments.batch_size)
    if difference is None:
        print(f"{arguments.out}: written but NOT checked, since onnxruntime is not installed; "
              "to check it: pip install onnxruntime, then export again")
    else:
        print(f"{arguments.out}: checked by running it; no logit is further than "
              f"{difference:.2g} from the checkpoint's")


if __name__ == "__main__":
    sys.exit(run_command(main))
