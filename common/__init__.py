"""What every room needs: how a command ends, how a file is written, how progress is shown.

Imports nothing of ours and never MindSpore, so that every command can start quickly. Being the
first of our packages that is imported, it sees to the JPEG decoder before MindSpore is loaded.
"""

from common.command import (ArgumentParser, CheckFailed, HelpFormatter, RequestError, positive_int,
                            run_command)
from common.files import replaced_file, sha256_of_file, write_json, write_text
from common.jpeg import prefer_pillows_libjpeg
from common.progress import progress_bar

prefer_pillows_libjpeg()

__all__ = [
    "ArgumentParser", "CheckFailed", "HelpFormatter", "RequestError", "positive_int", "run_command",
    "replaced_file", "sha256_of_file", "write_json", "write_text",
    "progress_bar",
]
