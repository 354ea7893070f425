"""Building shards in parallel through joblib: on this machine's cores, on Dask or on Ray."""

import contextlib
import importlib.util
from pathlib import Path
from typing import Iterator, Optional

from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError

from common.cli import RequestError, progress_bar
from convert.request import Request
from convert.sharding import ShardPlan
from convert.shards import ShardReport, build_shard

BACKENDS = {"loky": None, "dask": "distributed", "ray": "ray"}  # and the package each one needs
SCHEDULER_SECONDS = 20  # to answer
RAY_ROUNDS = 4  # shards a worker builds between two reports of progress


def build_all(request: Request, plans: list[ShardPlan], building: Path, images_done: int = 0
              ) -> Iterator[tuple[int, ShardReport]]:
    """Build the shards in any order and yield (index of the shard, its report) as they finish.

    Args:
        images_done: of shards that were finished before, for the bar.

    Raises:
        RequestError: what :func:`convert.shards.build_shard` raises, a killed worker, or a
            backend that is not installed or does not answer.
    """
    keep_bad = request.on_bad == "skip"
    images = {plan.index: len(plan.entries) for plan in plans}
    with _backend(request, len(plans)), _reporting_dead_worker(request.out), \
            progress_bar(images_done + sum(images.values()), f"convert {request.split}",
                         "images") as bar:
        bar.update(images_done)
        tasks = [delayed(_build)(plan, building, keep_bad) for plan in plans]
        for index, report in _results(request, tasks):
            bar.update(images[index])
            yield index, report


def _results(request: Request, tasks: list) -> Iterator[tuple[int, ShardReport]]:
    """The results of the tasks as they finish."""
    if request.backend != "ray":
        yield from Parallel(return_as="generator_unordered")(tasks)
        return
    # Ray's joblib backend gives results only when all are there: a few rounds of the workers.
    together = RAY_ROUNDS * request.workers
    for start in range(0, len(tasks), together):
        yield from Parallel()(tasks[start:start + together])


def _build(plan: ShardPlan, building: Path, keep_bad: bool) -> tuple[int, ShardReport]:
    return plan.index, build_shard(plan, building, keep_bad)


@contextlib.contextmanager
def _backend(request: Request, tasks: int) -> Iterator[None]:
    """Make ``request.backend`` the one that joblib uses."""
    package = BACKENDS[request.backend]
    if package and importlib.util.find_spec(package) is None:
        raise RequestError(f"--backend {request.backend} needs the package {package}: "
                           f"pip install '.[{request.backend}]', or leave --backend out")
    jobs = max(1, min(request.workers, tasks))
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
    if address is None:
        raise RequestError("--backend dask: give the address of its scheduler, e.g. "
                           "--scheduler tcp://host:8786")
    try:
        client = Client(address, timeout=SCHEDULER_SECONDS)
    except (OSError, ValueError) as error:
        raise RequestError(f"--scheduler {address} does not answer ({error}); start it, or mend "
                           "the address") from error
    with client:
        try:
            yield
        except KilledWorker as error:
            raise RequestError(f"workers of {address} were killed again and again "
                               f"({str(error).split('.')[0]}); if memory ran out give them more; "
                               "the same command goes on from the finished shards") from error


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
                           "it, or mend the address") from error
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
                           "if memory ran out lower --workers; the same command goes on from the "
                           "finished shards") from error
