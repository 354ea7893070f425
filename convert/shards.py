"""Building shards, in parallel through joblib: on this machine's cores, on Dask or on Ray.

A worker builds a whole shard: it reads, checks and writes each image, then makes the files durable.
"""

import contextlib
import hashlib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generator, Iterator, Optional

from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError

from common.cli import RequestError, progress_bar
from common.files import sha256_of_file
from convert.images import BadImage, ImageChecks, check_image
from convert.mindrecord.record_layout import RecordLayout
from convert.mindrecord.writer import RecordWriter, index_of
from convert.records.manifest import FileNote, Shard
from convert.request import Request
from convert.sources.layouts import reader_of
from convert.sources.listing import Entry
from convert.workers import results_of_workers
from convert.workspace import ShardReport, Workspace

PACKAGES = {"dask": "distributed", "ray": "ray"}  # that a backend needs
SCHEDULER_SECONDS = 20  # to answer
RAY_ROUNDS = 4  # shards per worker between two reports of progress


@dataclass(frozen=True)
class ShardPlan:
    """All that a worker needs to build one shard."""

    index: int
    file: str
    layout: str
    root: Path
    entries: list[Entry]
    blacklisted: frozenset[int]  # those of its entries' ids
    page_bytes: int
    checks: ImageChecks

    def entries_sha256(self) -> str:
        """Return a digest of what decides the shard's bytes apart from the request's options and
        the images themselves: a finished shard that has another one is not this shard."""
        digest = hashlib.sha256(f"{self.file} {self.page_bytes}".encode())
        for entry in self.entries:
            digest.update(entry.digest_line())
        return digest.hexdigest()


def build_shards(request: Request, plans: list[ShardPlan], workspace: Workspace
                 ) -> list[ShardReport]:
    """Return the reports of the shards, in order; those finished earlier are not built again.

    Of those, the ones with bad images are built again: the images may have been repaired since.
    Where bad images are to stop a conversion, it ends with the first shard that has some, and the
    reports are of the shards until then.

    Raises:
        RequestError: what ``build_shard`` raises, a killed worker, or a backend that is not
            installed or does not answer.
    """
    before = [plan.index for plan in plans if workspace.is_finished(plan.index)]
    reports = {plan.index: _finished_without_bad(plan, workspace) for plan in plans}
    again = sum(reports[index] is None for index in before)
    if again:
        print(f"{again} of {len(before)} finished shards are built again: their images or ids have "
              "changed, some images were bad, or files are damaged", file=sys.stderr)
    todo = [plan for plan in plans if reports[plan.index] is None]
    total = sum(len(plan.entries) for plan in plans)
    keep_bad = request.on_bad == "skip"
    with _backend(request, len(todo)), \
            progress_bar(total, f"convert {request.split}", "images") as bar:
        bar.update(total - sum(len(plan.entries) for plan in todo))
        tasks = [delayed(build_shard)(plan, workspace, keep_bad) for plan in todo]
        with contextlib.closing(_results(request, tasks)) as results:  # ends the workers, too
            for plan, report in zip(todo, results):
                bar.update(len(plan.entries))
                reports[plan.index] = report
                if report.bad and not keep_bad:
                    break
    return [report for report in reports.values() if report is not None]


def _finished_without_bad(plan: ShardPlan, workspace: Workspace) -> Optional[ShardReport]:
    report = workspace.finished_report(plan.index, plan.entries_sha256())
    if report and report.bad:
        workspace.discard(plan.index)
        return None
    return report


def _results(request: Request, tasks: list) -> Generator[ShardReport, None, None]:
    """Yield the results of the tasks, in order, as they finish."""
    if request.backend != "ray":
        yield from results_of_workers(tasks)
        return
    # Ray's joblib backend gives results only when all are there: a few rounds of the workers.
    together = RAY_ROUNDS * request.worker_count
    for start in range(0, len(tasks), together):
        yield from Parallel()(tasks[start:start + together])


@contextlib.contextmanager
def _backend(request: Request, tasks: int) -> Iterator[None]:
    """Make ``request.backend`` the one that joblib uses."""
    package = PACKAGES.get(request.backend)
    if package and importlib.util.find_spec(package) is None:
        raise RequestError(f"--backend {request.backend} needs the package {package}: "
                           f"pip install '.[{request.backend}]', or leave --backend out")
    jobs = max(1, min(request.worker_count, tasks))
    if request.backend == "dask":
        with _dask_client(request.scheduler), parallel_config("dask", n_jobs=-1):
            yield
    elif request.backend == "ray":
        with _ray_session(request.scheduler, jobs), parallel_config("ray", n_jobs=jobs):
            yield
    else:
        try:
            with parallel_config("loky", n_jobs=jobs):
                yield
        except TerminatedWorkerError as error:
            raise RequestError(
                f"a worker that wrote to {request.out} was killed ({str(error).split('.')[0]}); "
                "if memory ran out lower --workers; the same command resumes from the finished "
                "shards") from error


@contextlib.contextmanager
def _dask_client(address: Optional[str]) -> Iterator[None]:
    from distributed import Client, KilledWorker
    assert address is not None, "checked by Request"
    try:
        client = Client(address, timeout=SCHEDULER_SECONDS)
    except (OSError, ValueError) as error:
        raise RequestError(f"--scheduler {address} does not answer ({error}); start it, or correct "
                           "the address") from error
    with client:
        try:
            yield
        except KilledWorker as error:
            raise RequestError(f"workers of {address} were killed again and again "
                               f"({str(error).split('.')[0]}); if memory ran out give them more; "
                               "the same command resumes from the finished shards") from error


@contextlib.contextmanager
def _ray_session(address: Optional[str], jobs: int) -> Iterator[None]:
    """Use Ray on this machine, or the cluster at ``address``."""
    import ray
    from ray.util.joblib import register_ray
    register_ray()
    try:
        ray.init(address=address, **({} if address else {"num_cpus": jobs}),
                 include_dashboard=False if address is None else None, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise RequestError(f"--scheduler {address}: Ray cannot be reached there ({error}); start "
                           "it, or correct the address") from error
    try:
        yield
    finally:
        ray.shutdown()


def build_shard(plan: ShardPlan, workspace: Workspace, keep_bad: bool) -> ShardReport:
    """Build the shard of ``plan`` in the workspace, complete or not at all.

    Args:
        keep_bad: finish the shard without its bad images; otherwise only report them.

    Raises:
        RequestError: the source changed, or a disk or permission error, naming the file.
    """
    with workspace.unfinished_folder(plan.index) as folder:
        report = _write(plan, folder / plan.file)
        if keep_bad or not report.bad:
            workspace.keep(plan.index, folder, report)
        return report


def _write(plan: ShardPlan, data_file: Path) -> ShardReport:
    image_bytes = shrunk = bytes_saved = 0
    repaired: list[FileNote] = []
    bad: list[FileNote] = []
    read = reader_of(plan.layout)
    with contextlib.closing(RecordWriter(data_file, plan.page_bytes, _header_as_planned(plan))
                            ) as writer:
        for entry in plan.entries:
            data = read(plan.root, entry)
            try:
                image = check_image(data, plan.checks)
            except BadImage as reason:
                bad.append(FileNote(entry.file_name, str(reason)))
                continue
            writer.append({"image": image.data, **_fields(plan, entry)})
            image_bytes += len(image.data)
            if image.repaired:
                repaired.append(FileNote(entry.file_name, image.repaired))
            if image.shrunk:
                shrunk += 1
                bytes_saved += len(data) - len(image.data)
        rows, sha256 = writer.finish()
    if rows != len(plan.entries) - len(bad):
        raise RuntimeError(f"{data_file} holds {rows} rows; of {len(plan.entries)} images "
                           f"{len(bad)} were to be left out")
    index_file = index_of(data_file)
    shard = Shard(plan.file, rows, data_file.stat().st_size, sha256,
                  index_file.stat().st_size, sha256_of_file(index_file))
    return ShardReport(plan.entries_sha256(), shard, image_bytes, shrunk, bytes_saved, repaired,
                       bad)


def _header_as_planned(plan: ShardPlan) -> bytes:
    """Return the header that the shard has if each image is stored as it is."""
    layout = RecordLayout(plan.file, plan.page_bytes)
    for entry in plan.entries:
        layout.add(entry.size, _fields(plan, entry))
    return layout.header()


def _fields(plan: ShardPlan, entry: Entry) -> dict[str, Any]:
    """Return a row without its image."""
    return {"label": entry.label, "file_name": entry.file_name, "image_id": entry.image_id,
            "blacklisted": int(entry.image_id in plan.blacklisted)}
