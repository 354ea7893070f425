"""What the host lets the ranks have: cores, memory, open files, room on the disk."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Iterator, Optional

import psutil

from benchmarks.doctor.checks import Check, Verdict, check, fail, ok, warn
from common.files import existing_folder
from common.host import available_cores, cores_per_rank, open_file_limit
from common.text import GIB, counted
from convert.records.reader import READERS, RecordSet
from train.options import TrainRequest
from train.plan import check_disk, make_plan
from train.recipe import PRESETS

# A rank keeps a quarter of a gigabyte of encoded images to shuffle, up to 16 batches of 34 MB
# between feed and device, weights and their averages while it saves, and MindSpore itself.
MEMORY_PER_RANK = 4 * GIB
MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"),
                 Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))  # cgroup v2, v1


def host_checks(ranks: int) -> Iterator[Check]:
    yield cores(ranks)
    yield memory(ranks)


@check("cores")
def cores(ranks: int) -> Verdict:
    host, usable, affinity = os.cpu_count() or 1, available_cores(), len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    found = (f"{host} in the host, {affinity} by affinity, {usable} with the container's quota; "
             f"with --ranks {ranks}, {cores_per_rank(ranks)} each; load of the "
             f"last minute {load:.1f}")
    if usable < ranks:
        return warn(found, "give the container or the job more cores, or start fewer ranks")
    if round(load) > host:
        return warn(f"{found}: other jobs use them, and the times below are longer than they "
                    "would be", "end the other jobs and repeat this after a minute")
    return ok(found)


@check("memory")
def memory(ranks: int) -> Verdict:
    host, limit = psutil.virtual_memory(), _memory_limit()
    usable = min(host.available, limit or host.available)
    found = (f"{host.total / GIB:.1f} GiB in the host, {host.available / GIB:.1f} free"
             + (f", container's limit {limit / GIB:.1f} GiB" if limit else "")
             + f"; --ranks {ranks} needs about {ranks * MEMORY_PER_RANK / GIB:.0f} GiB")
    if usable < ranks * MEMORY_PER_RANK:
        return warn(found, "raise the container's limit, end other jobs, or start fewer ranks")
    return ok(found)


def _memory_limit() -> Optional[int]:
    """Return the bytes that the container may use; None without a limit."""
    for path in MEMORY_LIMITS:
        if path.exists():
            text = path.read_text(encoding="ascii").strip()
            limited = text != "max" and int(text) < psutil.virtual_memory().total
            return int(text) if limited else None
    return None


@check("open files")
def file_limit(records: RecordSet) -> Verdict:
    """Compare the limit, which every command raises as far as it may, with what a rank opens."""
    limit, readers = open_file_limit(), records.readers(READERS)
    wanted = records.open_files_with(READERS)
    found = (f"limit {limit:,}; {READERS} readers of {counted(len(records.files), 'shard')} take "
             f"{wanted:,} "
             "on each rank")
    if readers < READERS:
        return warn(f"{found}, so that {readers} will read",
                    f"ulimit -n {wanted}; in a container: --ulimit nofile={wanted}")
    return ok(found)


@check("room for checkpoints")
def room(records: RecordSet, run: Path) -> Verdict:
    one_image = replace(PRESETS["adsl-1p"], batch_size=1)  # the size does not depend on the batch
    plan = make_plan(one_image, records, TrainRequest(run).keep)
    existing = existing_folder(run)
    found = (f"{plan.checkpoint_bytes / 1e9:.1f} GB for the checkpoints of {run}, "
             f"{shutil.disk_usage(existing).free / 1e9:.1f} GB free")
    if not os.access(existing, os.W_OK):
        return fail(f"{found}, but {existing} may not be written", "choose another --run")
    check_disk(run, plan)
    return ok(found)
