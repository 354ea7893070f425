"""What the report is made from: the files under --results, of --run, and of record sets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, NamedTuple, Optional, Sequence

from common.cli import RequestError
from common.files import read_json, read_json_lines
from common.forms import HistoryLine, SpeedTable
from convert.records.manifest import MANIFEST_NAME, read_manifest
from convert.records.reader import RecordSet, open_records
from evaluate.predictions import Predictions, load_predictions
from evaluate.results import JSON_NAME, PREDICTIONS_NAME, Result, read_result, score

SPEED_NAME = "speed.json"  # of a benchmark; older ones are called result.json, too
HISTORY, PLAN, CONFIG = "history.jsonl", "plan.json", "config.json"


class InputNote(NamedTuple):
    """Something that could not be used: an English sentence and its values."""

    sentence: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Evaluation:
    """A result folder."""

    name: str  # of the folder, seen from --results
    folder: Path
    result: Result
    predictions: Optional[Predictions]  # None: no predictions.npz there


@dataclass(frozen=True)
class SpeedFile:
    """A benchmark's table."""

    name: str
    table: SpeedTable


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
    speed_tables: Sequence[SpeedFile]
    run: Optional[RunFiles]
    record_sets: dict[str, RecordSet]  # by their sha256
    notes: Sequence[InputNote]

    @property
    def main(self) -> Optional[Evaluation]:
        """The evaluation whose mistakes are shown: that of the most crops, the first of several."""
        scored = [item for item in self.evaluations if item.predictions is not None]
        return max(scored, key=lambda item: item.result.crops, default=None)

    def records_of(self, evaluation: Evaluation) -> Optional[RecordSet]:
        return self.record_sets.get(evaluation.result.records_sha256)


def read_inputs(run: Optional[Path], results: Path, records: Sequence[Path]) -> Inputs:
    """Read all files of the report.

    Args:
        run: a run folder.
        results: folder of result folders and of benchmarks' tables, at any depth.
        records: record sets in addition to those that the results and the run name.

    Raises:
        RequestError: there is nothing to report, a file is damaged, or one of ``records`` is no
            record set.
    """
    evaluations, tables, notes = _read_results(results)
    found = _read_run(run) if run is not None and run.exists() else None
    if not evaluations and not tables and not (found and found.history):
        raise RequestError(f"there is no {JSON_NAME} in {results} and "
                           + (f"no {HISTORY} in {run}" if run else "no --run was given")
                           + "; train or evaluate first")
    record_sets = {records.sha256: records for records in map(open_records, records)}
    notes += _open_named(_named_records(evaluations, found), record_sets)
    return Inputs(results, evaluations, tables, found, record_sets, notes)


# What distinguishes the result of an evaluation, and a speed table, from any other JSON.
_RESULT_KEYS = {"sets", "crops", "image_size", "scales", "checkpoint", "checkpoint_sha256",
                "records", "records_sha256", "classes", "has_blacklist"}
_SPEED_KEYS = {"title", "rows", "unit"}


def _read_results(results: Path) -> tuple[list[Evaluation], list[SpeedFile], list[InputNote]]:
    evaluations, tables, notes = [], [], []
    found = (path for name in (JSON_NAME, SPEED_NAME) for path in results.rglob(name))
    for path in sorted(found, key=lambda path: (path.parent, path.name)):
        about = read_json(path, "remove it")
        name = (results.name / path.parent.relative_to(results)).as_posix()
        if _RESULT_KEYS <= set(about):
            evaluations.append(_read_evaluation(name, path.parent, read_result(path)))
        elif _SPEED_KEYS <= set(about) and all("seconds" in row for row in about["rows"]):
            tables.append(SpeedFile(name, SpeedTable.from_json(about)))
        else:
            notes.append(InputNote("{path} is neither an evaluation result nor a benchmark table "
                                   "and was not used.", {"path": path}))
    return sorted(evaluations, key=lambda item: item.result.crops), tables, notes


def _read_evaluation(name: str, folder: Path, result: Result) -> Evaluation:
    path = folder / PREDICTIONS_NAME
    predictions = load_predictions(path) if path.exists() else None
    if predictions is not None:
        correct = {key: found.top1_correct for key, found in score(predictions).items()}
        if correct != {key: found.top1_correct for key, found in result.sets.items()}:
            raise RequestError(f"{path} and {folder / JSON_NAME} do not belong together: their "
                               "numbers of correct images differ; remove the folder and evaluate "
                               "again")
    return Evaluation(name, folder, result, predictions)


def _read_run(folder: Path) -> RunFiles:
    history, plan, config = (folder / name for name in (HISTORY, PLAN, CONFIG))
    try:
        lines = [HistoryLine.from_json(line) for line in
                 (read_json_lines(history) if history.exists() else [])]
    except TypeError as error:
        raise RequestError(f"{history} is not the history of a run ({error}); give another --run"
                           ) from None
    return RunFiles(folder, lines,
                    read_json(plan, "remove it") if plan.exists() else {},
                    read_json(config, "remove it") if config.exists() else {})


def _named_records(evaluations: Sequence[Evaluation], run: Optional[RunFiles]
                   ) -> Iterator[tuple[Path, str]]:
    """Yield the folders of the records that results and run name, with their digests."""
    for evaluation in evaluations:
        yield Path(evaluation.result.records), evaluation.result.records_sha256
    for name in ("data", "val_records"):
        if run and run.config.get(name) and run.config.get(f"{name}_sha256"):
            yield Path(run.config[name]), run.config[f"{name}_sha256"]


def _open_named(named: Iterator[tuple[Path, str]], record_sets: dict[str, RecordSet]
                ) -> list[InputNote]:
    """Add the record sets that still exist unchanged; return a note for each other one."""
    notes = {}
    for folder, sha256 in named:
        if sha256 in record_sets:
            continue
        try:
            records = _open_same(folder, sha256)
        except RequestError as error:
            notes[folder] = InputNote("The record set {folder} cannot be used: {error}",
                                      {"folder": folder, "error": error})
            continue
        if records is None:
            notes[folder] = InputNote("The record set {folder} no longer exists or has other "
                                      "content; if it was moved, give it with --records.",
                                      {"folder": folder})
        else:
            record_sets[sha256] = records
    return list(notes.values())


def _open_same(folder: Path, sha256: str) -> Optional[RecordSet]:
    """Return the record set, or None if there is none or another one.

    Raises:
        RequestError: it is damaged.
    """
    if not (folder / MANIFEST_NAME).exists():
        return None
    if RecordSet(folder, read_manifest(folder)).sha256 != sha256:
        return None
    return open_records(folder)
