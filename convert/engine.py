"""Building shards in parallel through joblib: on this machine's cores, on Dask or on Ray."""

import contextlib
import importlib.util
from pathlib import Path
from typing import Iterator, List, Optional

from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError

from common.cli import RequestError, progress_bar
from convert.request import Request
from convert.sharding import ShardPlan
from convert.shards import build_shard
from convert.workspace import ShardReport, Workspace

PACKAGES = {"dask": "distributed", "ray": "ray"}  # that a backend needs
SCHEDULER_SECONDS = 20  # to answer
RAY_ROUNDS = 4  # shards per worker between two reports of progress


def build_shards(request: Request, plans: List[ShardPlan], workspace: Workspace
                 ) -> List[ShardReport]:
    """Return the reports of the shards, in order; those finished earlier are not built again.

    Where bad images are to stop a conversion, it ends with the first shard that has some, and the
    reports are of the shards until then.

    Raises:
        RequestError: what :func:`convert.shards.build_shard` raises, a killed worker, or a
            backend that is not installed or does not answer.
    """
    reports = {plan.index: workspace.finished_report(plan.index) for plan in plans}
    todo = [plan for plan in plans if reports[plan.index] is None]
    images = {plan.index: len(plan.entries) for plan in plans}
    keep_bad = request.on_bad == "skip"
    with _backend(request, len(todo)), _reporting_dead_worker(request.out), \
            progress_bar(sum(images.values()), f"convert {request.split}", "images") as bar:
        bar.update(sum(images[index] for index, report in reports.items() if report is not None))
        tasks = [delayed(_build)(plan, workspace, keep_bad) for plan in todo]
        for index, report in _results(request, tasks):
            bar.update(images[index])
            reports[index] = report
            if report.bad and not keep_bad:
                break
    return [report for report in reports.values() if report is not None]


def _results(request: Request, tasks: list) -> Iterator[tuple[int, ShardReport]]:
    """Yield the results of the tasks as they finish."""
    if request.backend != "ray":
        yield from Parallel(return_as="generator_unordered")(tasks)
        return
    # Ray's joblib backend gives results only when all are there: a few rounds of the workers.
    together = RAY_ROUNDS * request.worker_count
    for start in range(0, len(tasks), together):
        yield from Parallel()(tasks[start:start + together])


def _build(plan: ShardPlan, workspace: Workspace, keep_bad: bool) -> tuple[int, ShardReport]:
    return plan.index, build_shard(plan, workspace, keep_bad)


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
        with parallel_config("loky", n_jobs=jobs):
            yield


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
    """Ray on this machine, or the cluster at ``address``."""
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


@contextlib.contextmanager
def _reporting_dead_worker(out: Path) -> Iterator[None]:
    try:
        yield
    except TerminatedWorkerError as error:
        raise RequestError(f"a worker that wrote to {out} was killed ({str(error).split('.')[0]}); "
                           "if memory ran out lower --workers; the same command resumes from the "
                           "finished shards") from error
