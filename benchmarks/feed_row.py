"""One run of one row of ``python -m benchmarks feed``, in a process of its own, so that no
framework's threads or memory are in the next one's way.

``python -m benchmarks.feed_row JOB`` (the fields of a ``Job`` as JSON) prints the seconds.
"""

import dataclasses
import json
import sys

from benchmarks.feed_job import Job, steady_seconds
from benchmarks.feed_mindspore import MINDSPORE_FEEDS, RECORDS, SEED
from benchmarks.feed_peers import PEER_FEEDS
from benchmarks.processes import run_process
from common import jpeg


def obstacle_of(row: str) -> str:
    """Why the row cannot run here; empty where it can."""
    return PEER_FEEDS[row].obstacle() if row in PEER_FEEDS else ""


def run_row(job: Job) -> float:
    """Seconds that ``job.timed_images`` took, start and end of the epoch left out."""
    # MindSpore as it comes, in the rows that stand for it: see common.jpeg.
    environment = {jpeg.CHOICE: "mindspore"} if job.row in (SEED, RECORDS) else {}
    printed = run_process(sys.executable, "-m", "benchmarks.feed_row",
                          json.dumps(dataclasses.asdict(job)), environment=environment)
    return float(printed.splitlines()[-1])


def main() -> None:
    job = Job(**json.loads(sys.argv[1]))
    feed = PEER_FEEDS[job.row].batches if job.row in PEER_FEEDS else MINDSPORE_FEEDS[job.row]
    print(steady_seconds(feed(job), job))


if __name__ == "__main__":
    main()
