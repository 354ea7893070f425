"""One run of one row of ``python -m benchmarks feed``, in a process of its own, so that no
framework's threads or memory disturb the next one.

``python -m benchmarks.feed.row JOB`` (the fields of a ``FeedJob`` as JSON) prints the seconds.
"""

import dataclasses
import json
import sys

from benchmarks.feed.job import FeedJob, steady_seconds
from benchmarks.feed.mindspore_feeds import MINDSPORE_FEEDS, RECORDS, SEED
from benchmarks.feed.peer_feeds import PEER_FEEDS
from benchmarks.timing import run_process
from common import jpeg
from common.cli import run_command


def unavailable_reason_of(row: str) -> str:
    """Return why the row cannot run here; empty if it can."""
    return PEER_FEEDS[row].unavailable_reason() if row in PEER_FEEDS else ""


def run_row(job: FeedJob) -> float:
    """Return the seconds that ``job.timed_images`` took, start and end of the epoch left out."""
    # These rows stand for MindSpore as it is installed, with its own JPEG decoder.
    environment = {jpeg.CHOICE: "mindspore"} if job.row in (SEED, RECORDS) else {}
    printed = run_process(sys.executable, "-m", "benchmarks.feed.row",
                          json.dumps(dataclasses.asdict(job)), environment=environment)
    return float(printed.splitlines()[-1])


def main() -> None:
    job = FeedJob(**json.loads(sys.argv[1]))
    feed = PEER_FEEDS[job.row].batches if job.row in PEER_FEEDS else MINDSPORE_FEEDS[job.row]
    print(steady_seconds(feed(job), job))


if __name__ == "__main__":
    sys.exit(run_command(main))  # loads the JPEG decoder that the training command has, too
