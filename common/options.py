"""One way from a frozen dataclass to command-line flags and back.

A request dataclass says everything about an option once, on its field::

    source: Path = option(help="folder with the images")               # --source, required
    shards: Optional[int] = option(None, "number of files", low=1)     # --shards

``add_options`` makes the flags, ``from_arguments`` the request. With ``CheckedOptions`` as its base
the dataclass checks the ranges, so that a caller from Python gets the same errors.
"""

import argparse
import dataclasses
import math
import typing
from dataclasses import MISSING, Field, dataclass
from pathlib import Path
from typing import Any, Callable, Container, Iterable, Optional, Sequence, TypeVar

from common.cli import ArgumentParser, RequestError, add_version

T = TypeVar("T")


def option(default: Any = MISSING, help: str = "", *, low: Optional[float] = None,
           high: Optional[float] = None, choices: Optional[Iterable[Any]] = None,
           metavar: Optional[str] = None, parse: Optional[Callable[[str], Any]] = None,
           flag: str = "", aliases: Sequence[str] = (), positional: bool = False,
           negatable: bool = False, bare: Any = None) -> Any:
    """Return a dataclass field that ``add_options`` can turn into a flag.

    Args:
        default: value without the flag; a field without a default is a required flag.
        low, high: ends of the range, both allowed. Floats must also be finite.
        choices: the values allowed, checked by ``CheckedOptions``, too.
        parse: from the text to the value; by default what the field's type says: int, float, str,
            Path, bool, Optional of these, or ``tuple[X, ...]`` for a flag with several values.
        flag: the flag's name, by default that of the field; aliases: further names of it.
        positional: no flag but an argument by position.
        negatable: a bool that has ``--no-NAME`` as well.
        bare: what the flag without a value means; None: it needs one.
    """
    return dataclasses.field(default=default, metadata=dict(
        help=help, low=low, high=high, choices=tuple(choices) if choices else None,
        metavar=metavar, parse=parse, flag=flag, aliases=tuple(aliases), positional=positional,
        negatable=negatable, bare=bare))


def device_option() -> Any:
    """Return the field for ``--device``, the same in every command that computes."""
    return option("auto", "what to compute on; auto: Ascend where it can be used, else CPU",
                  choices=("auto", "CPU", "Ascend"))


def precision_option(also: Sequence[str] = ()) -> Any:
    """Return the field for ``--precision``, the same in every command that computes; ``also`` are
    further names, for what was called so before."""
    return option("float32", "number format of convolutions and classifier, all else is float32; "
                  "hf32: float32 with a shorter mantissa, on Ascend from the 910B on",
                  choices=("float32", "hf32", "float16", "bfloat16", *also))


def weights_option() -> Any:
    """Return the field for ``--weights``, the same in every command that uses a checkpoint."""
    return option(None, "ema: the averaged weights of the checkpoint; raw: those that were trained "
                  "(default: ema where there are any)", choices=("ema", "raw"))


def flag_named(name: str) -> str:
    """Return the flag of a field of that name."""
    return "--" + name.replace("_", "-")


def flag_of(item: Field) -> str:
    """Return how the field is spelled on the command line, as errors name it."""
    if item.metadata.get("positional"):
        return item.name
    return item.metadata.get("flag") or flag_named(item.name)


def add_options(parser: Any, cls: type, *, only: Optional[Container[str]] = None,
                leave_out: Container[str] = (), suppress_defaults: bool = False,
                describe: Optional[Callable[[Field], str]] = None) -> None:
    """Add a flag for every field of ``cls`` that was made by ``option``.

    Args:
        parser: an ``ArgumentParser`` or one of its groups.
        only, leave_out: names of the fields to take or not to take.
        suppress_defaults: flags that were not given are not in the parsed arguments, so that
            defaults that depend on other flags can be filled in later.
        describe: makes the help text of a field, by default its ``help``.
    """
    types_of = typing.get_type_hints(cls)
    for item in dataclasses.fields(cls):
        wanted = item.name not in leave_out and (only is None or item.name in only)
        if "help" not in item.metadata or not wanted:
            continue
        settings = _settings(item, types_of[item.name])
        settings["help"] = (describe(item) if describe else item.metadata["help"]).replace(
            "%", "%%")
        if item.metadata["positional"]:
            parser.add_argument(item.name, **settings)
            continue
        settings["required"] = item.default is MISSING and not suppress_defaults
        settings["default"] = argparse.SUPPRESS if suppress_defaults else (
            None if item.default is MISSING else item.default)
        parser.add_argument(flag_of(item), *item.metadata["aliases"], dest=item.name, **settings)


def _settings(item: Field, annotation: Any) -> dict[str, Any]:
    """Return what argparse needs to know about the value: its type, and how many there are."""
    if type(None) in typing.get_args(annotation):  # Optional[X]
        annotation = typing.get_args(annotation)[0]
    if annotation is bool:
        return {"action": argparse.BooleanOptionalAction if item.metadata["negatable"] else
                "store_true"}
    settings = {"metavar": item.metadata["metavar"], "choices": item.metadata["choices"]}
    if item.metadata["bare"] is not None:
        settings.update(nargs="?", const=item.metadata["bare"])
    if typing.get_origin(annotation) is tuple:
        settings["nargs"] = "+"
        annotation = typing.get_args(annotation)[0]
    settings["type"] = item.metadata["parse"] or (
        _whole_number if annotation is int else annotation)
    return settings


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number") from None


def from_arguments(cls: type[T], arguments: argparse.Namespace, **changes: Any) -> T:
    """Return a ``cls`` with the parsed values of its fields; ``changes`` override them."""
    names = {item.name for item in dataclasses.fields(cls)}  # type: ignore
    values = {name: tuple(value) if isinstance(value, list) else value
              for name, value in vars(arguments).items() if name in names}
    return cls(**{**values, **changes})


@dataclass(frozen=True)
class Subcommand:
    """A subcommand whose arguments are the fields of one request."""

    name: str
    request: type
    run: Callable[[Any], None]
    help: str  # in the list of subcommands
    description: str = ""  # of its own --help; empty: ``help``


def run_subcommand(prog: str, description: str, subcommands: Iterable[Subcommand]) -> None:
    """Parse the command line and run the subcommand that it names with its request."""
    parser = ArgumentParser(prog=prog, description=description)
    add_version(parser)
    commands = parser.add_subcommands()
    for item in subcommands:
        command = commands.add_parser(item.name, help=item.help,
                                      description=item.description or item.help)
        add_version(command)
        add_options(command, item.request)
        command.set_defaults(subcommand=item)
    arguments = parser.parse_args()
    chosen: Subcommand = arguments.subcommand
    chosen.run(from_arguments(chosen.request, arguments))


def _check_value(item: Field, value: Any) -> None:
    low, high, choices = (item.metadata[name] for name in ("low", "high", "choices"))
    if choices and value not in choices:
        raise RequestError(f"{flag_of(item)} {value}: choose one of "
                           f"{', '.join(map(str, choices))}")
    if not isinstance(value, (int, float)):
        return
    if not math.isfinite(value):
        raise RequestError(f"{flag_of(item)} {value}: give a finite number")
    if (low is not None and value < low) or (high is not None and value > high):
        wanted = (f"at most {high}" if low is None else f"at least {low}" if high is None else
                  f"a value from {low} to {high}")
        raise RequestError(f"{flag_of(item)} {value}: give {wanted}")


def _with_paths(value: Any, kind: Any) -> Any:
    """Return the value with strings as paths where its field's type says so."""
    if kind is not Path and Path not in typing.get_args(kind):
        return value
    if typing.get_origin(kind) is tuple:
        return tuple(map(Path, [value] if isinstance(value, (str, Path)) else value))
    return Path(value) if isinstance(value, str) else value


class CheckedOptions:
    """Base of a dataclass whose values must be in the ranges and choices of their fields. Where a
    field is a path, a caller from Python may give a string.

    Raises:
        RequestError: the first value that is outside, or a float that is not finite.
    """

    def __post_init__(self) -> None:
        kinds = typing.get_type_hints(type(self))
        for item in dataclasses.fields(self):  # type: ignore[arg-type]  # of a dataclass below
            value = _with_paths(getattr(self, item.name), kinds[item.name])
            object.__setattr__(self, item.name, value)  # the dataclass is frozen
            for each in value if isinstance(value, tuple) else (value,):
                if each is not None and "help" in item.metadata:
                    _check_value(item, each)
