"""What the report is made from: the files under --results, of --run, and of record sets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Sequence

from common.cli import RequestError
from common.files import read_json, sha256_of_file
from common.forms import CONFIG, HISTORY, PLAN, HistoryLine, SpeedTable, read_history
from common.host_forms import DOCTOR_NAME, SCALE_NAME, DoctorReport, ScaleTable
from convert.records.manifest import MANIFEST_NAME, record_sets_in
from convert.records.reader import RecordSet, open_records
from evaluate.predictions import Predictions, load_predictions
from evaluate.report.translations import Translate
from evaluate.rescore import RESCORED_NAMES, RescoredResult, read_rescored
from evaluate.results import JSON_NAME, PREDICTIONS_NAME, Result, read_result, score

SPEED_NAME = "speed.json"  # of a benchmark; older ones are called result.json, too


@dataclass(frozen=True)
class Evaluation:
    """A result folder."""

    name: str  # path of the folder, beginning with --results
    result: Result
    predictions: Optional[Predictions]  # None: no predictions.npz there
    rescored: Sequence[RescoredResult] = ()
    folder: Optional[Path] = None


@dataclass(frozen=True)
class RunFiles:
    """The files of a run folder; empty where they are missing."""

    folder: Path
    history: Sequence[HistoryLine]
    plan: dict[str, Any]
    config: dict[str, Any]


@dataclass(frozen=True)
class Inputs:
    results: Path
    evaluations: Sequence[Evaluation]  # fewest crops first
    speed_tables: Sequence[tuple[str, SpeedTable]]  # with the names of their folders
    run: Optional[RunFiles]
    record_sets: dict[str, RecordSet]  # by their sha256
    notes: Sequence[str]  # on what could not be used
    doctors: Sequence[tuple[str, DoctorReport]] = ()  # with the names of their folders
    rehearsals: Sequence[tuple[str, ScaleTable]] = ()  # the same
    page: Path = Path("report.html")  # from where files are linked

    @property
    def main(self) -> Optional[Evaluation]:
        """Return the evaluation whose mistakes are shown: of those with the most crops the newest,
        which is that of a resumed run."""
        scored = [item for item in self.evaluations if item.predictions is not None]
        return max(scored, default=None,
                   key=lambda item: (item.result.crops, item.result.made.get("date", "")))

    @property
    def best(self) -> Optional[Evaluation]:
        """Return the evaluation whose figures come first: ``main``, else the one with the most
        crops."""
        return self.main or (self.evaluations[-1] if self.evaluations else None)

    @property
    def are_own_images(self) -> bool:
        """Return whether the results, or else the validation sets, are all of other images than
        ILSVRC's; False where there are none of either."""
        of_ilsvrc = [item.result.may_be_filtered for item in self.evaluations] or [
            records.manifest.has_ilsvrc_names for records in self.record_sets.values()
            if records.split == "val"]
        return bool(of_ilsvrc) and not any(of_ilsvrc)

    def records_of(self, evaluation: Evaluation) -> Optional[RecordSet]:
        return self.record_sets.get(evaluation.result.records_sha256)


def read_inputs(run: Optional[Path], results: Path, records: Sequence[Path], t: Translate
                ) -> Inputs:
    """Read all files of the report.

    Args:
        run: a run folder.
        results: folder of result folders and of benchmarks' tables, at any depth.
        records: record sets in addition to those that the results and the run name.
        t: translates the notes.

    Raises:
        RequestError: there is no such run, there is nothing to report, a file is damaged, or one
            of ``records`` is no record set.
    """
    _check_folders(run, results)
    evaluations, tables, notes = _read_results(results, t)
    found = _read_run(run) if run is not None else None
    doctors, rehearsals = (_read_of_host(name, form, run, results, notes, t)
                           for name, form in ((DOCTOR_NAME, DoctorReport),
                                              (SCALE_NAME, ScaleTable)))
    if not (evaluations or tables or doctors or rehearsals or found and found.history):
        raise RequestError(f"there is no {JSON_NAME} in {results} and "
                           + (f"no {HISTORY} in {run}" if run else "no --run was given")
                           + "; train or evaluate first")
    folders = [inner for folder in records for inner in record_sets_in(folder)]
    record_sets = {records.sha256: records for records in map(open_records, folders)}
    notes += _open_named(evaluations, found, record_sets, t)
    return Inputs(results, evaluations, tables, found, record_sets, notes, doctors, rehearsals)


def _check_folders(run: Optional[Path], results: Path) -> None:
    if results.exists() and not results.is_dir():
        raise RequestError(f"--results {results} is not a folder; give the folder of results")
    if run is not None and not run.is_dir():
        raise RequestError(f"--run {run} is not a folder: give the run's, or leave --run out")
    if run is not None and not any((run / name).exists() for name in (CONFIG, HISTORY)):
        raise RequestError(f"--run {run} is no run folder: it has neither {CONFIG} nor {HISTORY}; "
                           "give a run's, or leave --run out")


def _read_results(results: Path, t: Translate
                  ) -> tuple[list[Evaluation], list[tuple[str, SpeedTable]], list[str]]:
    evaluations, tables, notes = [], [], []
    found = (path for name in (JSON_NAME, SPEED_NAME) for path in results.rglob(name))
    for path in sorted(found, key=lambda path: (path.parent, path.name)):
        about = read_json(path, "remove it")
        name = _display_name(path.parent, results)
        if "checkpoint_sha256" in about:  # no other JSON of this program has it
            evaluations.append(_read_evaluation(path, name))
            continue
        try:
            tables.append((name, SpeedTable.from_json(about)))
        except (TypeError, KeyError, ValueError):
            notes.append(t("{path} is neither an evaluation result nor a benchmark table and was "
                           "not used.", path=path))
    return sorted(evaluations, key=lambda item: item.result.crops), tables, notes


def _display_name(folder: Path, results: Path) -> str:
    """Return the folder's path as ``results`` was given; of an absolute one from its last component
    on."""
    below = results.name / folder.relative_to(results) if results.is_absolute() else folder
    return below.as_posix()


def _read_evaluation(path: Path, name: str) -> Evaluation:
    result, predictions_path = read_result(path), path.with_name(PREDICTIONS_NAME)
    if not predictions_path.exists():
        return Evaluation(name, result, None, folder=path.parent)
    predictions = load_predictions(predictions_path)
    correct = {name: found.top1_correct for name, found in score(predictions).items()}
    if correct != {name: found.top1_correct for name, found in result.sets.items()}:
        raise RequestError(f"{predictions_path} and {path} do not belong together: their numbers "
                           "of correct images differ; remove the folder and evaluate again")
    return Evaluation(name, result, predictions, _read_rescored(predictions_path), path.parent)


def _read_rescored(predictions: Path) -> list[RescoredResult]:
    rescored = []
    for path in sorted(predictions.parent.glob(RESCORED_NAMES)):
        rescored.append(read_rescored(path))
        if rescored[-1].predictions_sha256 != sha256_of_file(predictions):
            raise RequestError(f"{path} was made from other predictions than {predictions}; "
                               "rescore again")
    return rescored


def _read_of_host(name: str, form: Any, run: Optional[Path], results: Path, notes: list[str],
                  t: Translate) -> list[tuple[str, Any]]:
    """Return the files of this name under results, in the run folder, and in the one that the
    doctor makes next to that; add a note on each that is something else."""
    found = {path: _display_name(path.parent, results) for path in sorted(results.rglob(name))}
    if run is not None:
        for place in (run, Path(f"{run}-doctor")):
            if (place / name).exists() and not (place / name).is_relative_to(results):
                found[place / name] = place.as_posix()
    read = []
    for path, folder in found.items():
        try:
            read.append((folder, form.from_json(read_json(path, "remove it"))))
        except (TypeError, KeyError):
            notes.append(t("{path} is no {name} of this program and was not used.", path=path,
                           name=name))
    return read


def _read_run(folder: Path) -> RunFiles:
    plan, config = (read_json(folder / name, "remove it") if (folder / name).exists() else {}
                    for name in (PLAN, CONFIG))
    return RunFiles(folder, read_history(folder), plan, config)


def _open_named(evaluations: Sequence[Evaluation], run: Optional[RunFiles],
                record_sets: dict[str, RecordSet], t: Translate) -> list[str]:
    """Add the record sets that results and run name, if they still exist unchanged; return a note
    for each other one."""
    named: list[tuple[Any, Any]] = [
        (item.result.records, item.result.records_sha256) for item in evaluations]
    if run:
        named += [(run.config.get(name), run.config.get(f"{name}_sha256"))
                  for name in ("data", "val_records")]
    notes = {}
    for folder, sha256 in named:
        if not folder or not sha256 or sha256 in record_sets:
            continue
        try:
            records = (open_records(Path(folder)) if (Path(folder) / MANIFEST_NAME).exists()
                       else None)
        except RequestError as error:
            notes[folder] = t("The record set {folder} cannot be used: {error}", folder=folder,
                              error=error)
            continue
        if records is not None and records.sha256 == sha256:
            record_sets[sha256] = records
        else:
            notes[folder] = t("The record set {folder} no longer exists or has other content; if "
                              "it was moved, give it with --records.", folder=folder)
    return list(notes.values())
