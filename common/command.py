"""How a command ends: exit code and the one line that tells the user why.

0 done; 1 a check said no; 2 the request was wrong; 130 interrupted, state kept.
"""

import argparse
import sys
from typing import Callable, NoReturn, Optional

EXIT_DONE, EXIT_CHECK_FAILED, EXIT_BAD_REQUEST, EXIT_INTERRUPTED = 0, 1, 2, 130


class RequestError(Exception):
    """The request cannot be carried out; the message names the file or value and what to do."""


class CheckFailed(Exception):
    """A check ran to its end and said no; the message names what is damaged."""


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows every default that says something: not None, nor that a switch is off."""

    def _get_help_string(self, action: argparse.Action) -> Optional[str]:
        if action.default is None or action.default is False:
            return action.help
        return super()._get_help_string(action)


class ArgumentParser(argparse.ArgumentParser):
    """argparse, with our one-line errors and our ``--help``."""

    def __init__(self, *args, **kwargs):
        kwargs.setdefault("formatter_class", HelpFormatter)
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        raise RequestError(f"{message} (see: {self.prog} --help)")


def positive_int(text: str) -> int:
    """The ``type`` of arguments that count something."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 1")
    return int(text)


def run_command(main: Callable[[], Optional[int]]) -> int:
    """Call ``main`` and return its exit code; failures a user can cause end as one line.


    Any other exception is a defect of ours and keeps its traceback.
    """
    try:
        return main() or EXIT_DONE
    except CheckFailed as failure:
        return _end("failed", failure, EXIT_CHECK_FAILED)
    except RequestError as error:
        return _end("error", error, EXIT_BAD_REQUEST)
    except OSError as error:
        place = f" '{error.filename}'" if error.filename else ""
        return _end("error", f"{error.strerror or error}:{place} (check that the path exists, may "
                             "be read or written, and that the disk has room)", EXIT_BAD_REQUEST)
    except KeyboardInterrupt:
        return _end("interrupted", "what was finished is kept", EXIT_INTERRUPTED)


def _end(kind: str, message: object, exit_code: int) -> int:
    one_line = " ".join(str(message).split())
    print(f"{kind}: {one_line}", file=sys.stderr, flush=True)
    return exit_code
