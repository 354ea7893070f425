"""How a command parses its arguments, says what comes next and ends.

Exit codes: 0 done; 1 a check failed; 2 the request was wrong; 130, 143 or 129 interrupted by
Ctrl-C, SIGTERM or a closed terminal (the last line says what was kept); 141 what read the output
ended (``| head``), in silence.
"""

import argparse
import configparser
import contextlib
import importlib.metadata
import json
import os
import re
import select
import shlex
import shutil
import signal
import sys
import warnings
from pathlib import Path
from typing import Any, Callable, Iterable, NoReturn, Optional, Sequence

from common.host import raise_open_file_limit
from common.jpeg import prefer_pillows_libjpeg
from common.rank_end import note_end, take_place_of_note
from common.signals import (Interrupted, interruption_line, note_kept_work,
                            raise_on_ending_signals)

EXIT_DONE, EXIT_CHECK_FAILED, EXIT_BAD_REQUEST = 0, 1, 2
EXIT_NO_READER = 128 + signal.SIGPIPE  # as other programs end
TYPED_COMMAND = "TYPED_COMMAND"  # environment: what a launcher passes on to its ranks, as JSON
UNDER_MAKE = "UNDER_MAKE"  # environment: make's own command as it was typed, or empty
# Environment: where MindSpore puts rank_<r>/om/analyze_fail.ir, its dump of a graph that did not
# compile, whose place its error names; unless it is set, into the working folder.
DUMP_FOLDER = "MS_OM_PATH"
PROJECT = "imagenet-mindrecord"


class RequestError(Exception):
    """The request cannot be carried out; the message names the file or value and what to do."""


class CheckFailed(Exception):
    """A check ran to its end and failed; the message names what is damaged."""


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows every default except None, switches that are off and empty lists."""

    def _get_help_string(self, action: argparse.Action) -> Optional[str]:
        if action.default is None or action.default is False or action.default == ():
            return action.help
        if isinstance(action.default, tuple):
            return f"{action.help} (default: {' '.join(map(str, action.default))})"
        return super()._get_help_string(action)


class ArgumentParser(argparse.ArgumentParser):
    """An argparse parser whose errors end as one ``error:`` line, see ``run_command``."""

    def __init__(self, *args, **kwargs):
        kwargs.setdefault("formatter_class", HelpFormatter)
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        raise RequestError(f"{message} (see: {self.prog} --help)")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        words = sys.argv[1:] if args is None else list(args)
        by_position = {f"--{action.dest}": action for action in self._get_positional_actions()}
        if argparse.REMAINDER not in (action.nargs for action in by_position.values()):
            for flag in (word.split("=")[0] for word in words):
                if flag in by_position and flag not in self._option_string_actions:
                    self.error(f"{flag} is no flag here: give its value without it")
        return super().parse_known_args(words, namespace)

    def add_subcommands(self) -> Any:
        """Return what ``add_parser`` adds a sub-command to; one has to be given."""
        return self.add_subparsers(dest="command", required=True, parser_class=ArgumentParser,
                                   metavar="SUB-COMMAND", action=_Subcommands)

    def refuse_subcommand(self, word: str, known: Iterable[str], otherwise: str = "") -> NoReturn:
        """Raise RequestError for a word that is none of the known sub-commands."""
        self.error(f"'{word}' is no sub-command; choose from {', '.join(known)}{otherwise}")


class _Subcommands(argparse._SubParsersAction):
    """The sub-commands of a parser; a word that is none of them is called that."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Or argparse itself refuses another word, as an "argument".
        self.choices = None  # type: ignore[assignment]

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None
                 ) -> None:
        if values[0] not in self._name_parser_map:
            parser.refuse_subcommand(values[0], self._name_parser_map)
        super().__call__(parser, namespace, values, option_string)


class _ShowVersion(argparse.Action):
    """Prints the version only when it is asked for: looking it up takes time."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"{PROJECT} {version()} (MindSpore {importlib.metadata.version('mindspore')}, "
              f"Python {sys.version.split()[0]})")
        parser.exit()


def add_version(parser: argparse.ArgumentParser) -> None:
    """Add ``--version``. Every command has it but ``train.modelarts``: a job of the platform may
    have a parameter of that name."""
    parser.add_argument("--version", action=_ShowVersion, nargs=0, default=argparse.SUPPRESS,
                        help="print the version and exit")


def version() -> str:
    """Return the project's version: of the source tree that runs, else of what is installed."""
    sources = configparser.ConfigParser()
    sources.read(Path(__file__).parents[1] / "setup.cfg", encoding="utf-8")
    if sources.get("metadata", "name", fallback="") == PROJECT:
        return sources["metadata"]["version"]
    return importlib.metadata.version(PROJECT)


def run_command(main: Callable[[], Optional[int]]) -> int:
    """Call ``main`` and return its exit code; failures a user can cause end as one line.

    What has to be set before MindSpore is imported is set here: its log level and the JPEG decoder
    (see ``common.jpeg``). An exception of any other kind is a defect of the program and keeps its
    traceback.
    """
    place = take_place_of_note()
    try:
        exit_code = _run(main)
    except Exception:
        note_end(place, EXIT_CHECK_FAILED)  # as Python will end
        raise
    note_end(place, exit_code)
    return exit_code


def _run(main: Callable[[], Optional[int]]) -> int:
    _make_streams_usable()
    os.environ.setdefault("GLOG_v", "3")  # MindSpore's errors, not its pages of harmless warnings
    warnings.filterwarnings("ignore", module=r"joblib\.")  # of tasks that an error cancels
    prefer_pillows_libjpeg()
    raise_open_file_limit()
    raise_on_ending_signals()
    note_kept_work(lambda: f"nothing was kept; start it again: {shown_command()}")
    try:
        try:
            return main() or EXIT_DONE
        finally:
            if sys.exc_info()[0] in (None, SystemExit):  # argparse ends so after --help
                sys.stdout.flush()  # or Python fails to, at its exit
    except CheckFailed as failure:
        return _end("failed", failure, EXIT_CHECK_FAILED)
    except RequestError as error:
        return _end("error", error, EXIT_BAD_REQUEST)
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _lost_reader():
            _print_last_line("")
            return EXIT_NO_READER
        return _end("error", describe_os_error(error), EXIT_BAD_REQUEST)
    except KeyboardInterrupt as interrupt:
        _print_last_line(interruption_line())
        return (interrupt if isinstance(interrupt, Interrupted) else Interrupted()).exit_code


def _make_streams_usable() -> None:
    """Let output show what it can: a name that stdout's encoding lacks in escapes, and nothing
    where stdout or stderr is closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started the process
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _lost_reader() -> bool:
    """Return whether stdout or stderr is a pipe whose reader ended."""
    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # no file of the system
            poll.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def describe_os_error(error: OSError) -> str:
    """Return what the system refused, the file and what to do."""
    place = f" '{_final_name(error.filename)}'" if error.filename else ""
    return (f"{error.strerror or error}:{place} (check that the path exists, may be read or "
            "written, and that the disk has room)")


def _final_name(path: object) -> str:
    """Return what a user knows the file by: where it is moved when it is complete."""
    final = re.sub(r"/\.building(/.*)?$", "", str(path))
    return re.sub(r"(^|/)\.([^/]+)\.\d+\.tmp$", r"\1\2", final)


def end_process(error: RequestError) -> NoReturn:
    """End the process with the error's line, from a thread, while the main thread hangs in a call
    into a library. Nothing else is saved or closed."""
    try:
        below_bar = "\n" if sys.stderr.isatty() else ""  # a progress bar's line has no end yet
        print(end=below_bar, file=sys.stderr)
        _end("error", error, EXIT_BAD_REQUEST)
    finally:
        os._exit(EXIT_BAD_REQUEST)


def typed_command() -> list[str]:
    """Return the command that started this process as it was typed, without the interpreter's
    path: ``["python", "-m", "train", …]``; under ``inceptionv4.launch``, that of the launcher."""
    return ["python", *typed_words()[1:]]


def typed_words() -> list[str]:
    """Return the same with the interpreter as a shell in this folder finds it."""
    launched = os.environ.get(TYPED_COMMAND)
    return json.loads(launched) if launched else [_interpreter(), *sys.orig_argv[1:]]


def _interpreter() -> str:
    """Return ``python`` where that is this one, else its path: make starts that of .venv."""
    if shutil.which("python") == sys.executable:
        return "python"
    relative = os.path.relpath(sys.executable)
    return sys.executable if relative.startswith("..") else relative


def shown_command(*flags: str) -> str:
    """Return the command as it was typed, with the flags that it lacks, for a shell; under make,
    that of make, with the flags in ARGS."""
    if os.environ.get(UNDER_MAKE):
        target, variables = _make_words()
        given = variables.get("ARGS", "")
        lacking = [flag for flag in flags if flag not in shlex.split(given)]
        if lacking:
            variables["ARGS"] = " ".join([*([given] if given else []), *lacking])
        return make_command(target, **variables)
    words = typed_words()
    return shlex.join([*words, *(flag for flag in flags if flag not in words)])


def make_command(target: str, *kept: str, **variables: object) -> str:
    """Return ``make target`` with these variables, and those of ``kept`` that were typed before,
    for a shell; an empty value leaves its variable out."""
    typed = {name: value for name, value in _make_words()[1].items() if name in kept}
    values = {**variables, **typed}
    return " ".join(["make", target, *(f"{name}={shlex.quote(str(value))}"
                                       for name, value in values.items() if str(value))])


def _make_words() -> tuple[str, dict[str, str]]:
    """Return the target that make runs and the variables that were typed for it; both empty where
    make did not start this process."""
    target, *words = shlex.split(os.environ.get(UNDER_MAKE, ""))[1:] or [""]
    return target, dict(word.split("=", 1) for word in words)


def module_command(module: str, *words: object) -> str:
    """Return ``python -m module`` with the words, for a shell, by the interpreter that runs."""
    return shlex.join([typed_words()[0], "-m", module, *map(str, words)])


def without_flags(words: Sequence[str], flags: Sequence[str]) -> list[str]:
    """Return the words of a command without the flags and the values that follow each."""
    kept, dropping = [], False
    for word in words:
        if word.startswith("-"):
            dropping = word.split("=")[0] in flags
        if not dropping:
            kept.append(word)
    return kept


def print_next(*commands: str, under_make: str = "") -> None:
    """Print to stderr what to type next; where make started this process, ``under_make``
    alone, which is empty if more commands of the target follow."""
    if UNDER_MAKE in os.environ:
        commands = (under_make,) if under_make and os.environ[UNDER_MAKE] else ()
    sys.stdout.flush()  # these are the last lines, also where both go to one file
    for place, command in enumerate(commands):
        print(f"{'then' if place else 'next'}: {command}", file=sys.stderr, flush=True)


def _end(kind: str, message: object, exit_code: int) -> int:
    one_line = " ".join(str(message).split())
    _print_last_line(f"{kind}: {one_line}")
    return exit_code


def _print_last_line(line: str) -> None:
    """Print the line to stderr. Where the terminal is closed, what stdout and stderr still hold is
    dropped: Python would fail to write it at its exit, and end with another exit code."""
    for stream, text in ((sys.stdout, ""), (sys.stderr, line and f"{line}\n")):
        try:
            stream.write(text)
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())
