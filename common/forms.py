"""Files of runs and benchmarks that the report also reads, though its package may not import the
packages that write them: a line of ``history.jsonl`` and the content of ``speed.json``."""

import dataclasses
import itertools
import statistics
import typing
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Mapping, Optional, Union

from common.cli import RequestError
from common.files import PathLike, read_json_lines

CONFIG, PLAN, HISTORY = "config.json", "plan.json", "history.jsonl"  # of a run folder


@dataclass(frozen=True)
class HistoryLine:
    """One finished epoch of a training run, a line of ``history.jsonl``.

    Attributes:
        step: steps finished since the beginning of the run.
        loss: mean over the epoch's steps, without those that were skipped for a loss that is no
            number.
        learning_rate: of its last step.
        images_per_second: of all ranks together, the steps alone.
        waiting_for_data: share of the steps' time, 0 to 1; None where the device waits.
        compile_seconds: what compiling the step and the network for validation took before this
            epoch; None after the first one.
        skipped_steps, loss_scale: steps whose gradients overflowed, and the scale after the last
            step; None without a dynamic loss scale.
        seconds_since_last_epoch: between the last epoch's steps and these; None after a start.
        seconds_validating: after this epoch's steps; None where there was none.
        seconds_saving: writing this epoch's checkpoint; None where that failed.
        full_top1_error, …: percent, single crop; None where nothing was scored.
        ema_full_top1_error, …: the same of the averaged weights; None without them, too.
    """

    epoch: int
    step: int
    loss: float
    learning_rate: float
    ms_per_step: float
    images_per_second: float
    waiting_for_data: Optional[float] = None
    seconds_since_last_epoch: Optional[float] = None
    compile_seconds: Optional[float] = None
    skipped_steps: Optional[int] = None
    loss_scale: Optional[float] = None
    seconds_validating: Optional[float] = None
    seconds_saving: Optional[float] = None
    full_top1_error: Optional[float] = None
    full_top5_error: Optional[float] = None
    filtered_top1_error: Optional[float] = None
    filtered_top5_error: Optional[float] = None
    ema_full_top1_error: Optional[float] = None
    ema_full_top5_error: Optional[float] = None
    ema_filtered_top1_error: Optional[float] = None
    ema_filtered_top5_error: Optional[float] = None

    def to_json(self) -> dict[str, Any]:
        """Return the line's fields without those of a kind that was not measured."""
        always = ("waiting_for_data", "seconds_since_last_epoch")
        return {name: value for name, value in dataclasses.asdict(self).items()
                if value is not None or name in always}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "HistoryLine":
        """Return the line; keys of other versions are passed over.

        Raises:
            TypeError: a key is missing.
        """
        return HistoryLine(**known_fields(HistoryLine, values))


def read_history(folder: PathLike) -> list[HistoryLine]:
    """Return the finished epochs of a run folder; none where it has no history.

    Raises:
        RequestError: a line is not one of a history.
    """
    path = Path(folder, HISTORY)
    try:
        return [HistoryLine.from_json(line) for line in
                (read_json_lines(path) if path.exists() else [])]
    except TypeError as error:
        raise RequestError(f"{path} is not the history of a run ({error}); give another --run"
                           ) from None


@dataclass(frozen=True)
class SpeedRow:
    """One way of doing the work: its times, or why there are none.

    Attributes:
        seconds: one per repeat, or per epoch of each repeat.
        section: heading of the rows that belong together; empty: one table.
        items: done in each of ``seconds``; None: the table's number.
        simulated: the card that was simulated, what its step takes and the source of that; empty:
            all was measured.
        waiting_for_data: share of ``seconds``, 0 to 1; of a training step, that of the step alone.
        cores_needed: cores that one card needs for the row's feed to keep it busy.
        average_seconds, items_per_second, ratio_to_first: see ``with_figures``; None without times.
    """

    name: str
    seconds: list[float]
    note: str = ""
    section: str = ""
    items: Optional[int] = None
    simulated: str = ""
    waiting_for_data: Optional[float] = None
    cores_needed: Optional[float] = None
    average_seconds: Optional[float] = None
    items_per_second: Optional[float] = None
    ratio_to_first: Optional[float] = None

    @property
    def slowest_and_fastest(self) -> Optional[tuple[float, float]]:
        """Return the items per second of the slowest and the fastest repeat; None without times."""
        if self.average_seconds is None or self.items_per_second is None:
            return None
        items = self.items_per_second * self.average_seconds
        return items / max(self.seconds), items / min(self.seconds)


@dataclass(frozen=True)
class SpeedTable:
    """Rows that did the same work in turns, the content of ``speed.json``.

    Attributes:
        items: done in each of a row's ``seconds``; None: the rows say it.
        unit: of items, plural.
        ratio: whether ratios are of times ("time") or of rates ("rate").
        closing: sentences that follow from the figures.
        average: "median" or "mean".
        per_step: ``seconds`` are those of a training step, shown in ms.

    Raises:
        ValueError: rows with a simulated card and others: they are no comparison.
    """

    title: str
    items: Optional[int]
    unit: str
    rows: list[SpeedRow]
    machine: dict[str, Any]
    settings: dict[str, Any]
    ratio: str = "time"
    closing: list[str] = field(default_factory=list)
    average: str = "median"
    per_step: bool = False

    def __post_init__(self) -> None:
        if len({bool(row.simulated) for row in self.rows}) > 1:
            raise ValueError(f"{self.title}: rows with a simulated card are next to others")

    @property
    def simulated(self) -> bool:
        """Return whether the card was simulated: in no row of a table, or in all of them."""
        return any(row.simulated for row in self.rows)

    def with_figures(self) -> "SpeedTable":
        """Return the table with each row's average, rate and ratio to the first of its section."""
        rows: list[SpeedRow] = []
        for _, group in itertools.groupby(self.rows, key=lambda row: row.section):
            averaged = [self._averaged(row) for row in group]
            rows += [self._compared(row, averaged[0]) for row in averaged]
        return replace(self, rows=rows)

    def _averaged(self, row: SpeedRow) -> SpeedRow:
        if not row.seconds:
            return row
        items = self.items if row.items is None else row.items
        if items is None:
            raise ValueError(f"neither the table nor the row {row.name} says how much was done")
        average = (statistics.median if self.average == "median" else statistics.mean)(row.seconds)
        if not average > 0:
            raise ValueError(f"the row {row.name} took no time")
        return replace(row, average_seconds=average, items_per_second=items / average)

    def _compared(self, row: SpeedRow, first: SpeedRow) -> SpeedRow:
        if row.average_seconds is None or first.average_seconds is None:
            return row
        times = row.average_seconds / first.average_seconds
        return replace(row, ratio_to_first=times if self.ratio == "time" else 1 / times)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "SpeedTable":
        """Return the table, its figures computed from the seconds.

        Raises:
            TypeError, KeyError, ValueError: the values are not those of a speed table.
        """
        rows = [SpeedRow(**known_fields(SpeedRow, row)) for row in values["rows"]]
        return SpeedTable(**{**known_fields(SpeedTable, values), "rows": rows}).with_figures()


def known_fields(form: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the form's fields: keys of other versions are passed over.

    Raises:
        TypeError: ``values``, which come from a file, are no object.
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"{values!r:.80} is no object")
    names = {item.name for item in fields(form)}
    return {name: value for name, value in values.items() if name in names}


def check_kinds(values: Any) -> None:
    """Check the values of a dataclass, which come from a file, and of those in it.

    Raises:
        TypeError: a value is of another kind than its field says; the message has both.
    """
    kinds = typing.get_type_hints(type(values))
    for item in fields(values):
        value = getattr(values, item.name)
        if not _is_of(value, kinds[item.name]):
            raise TypeError(f"{item.name} is {value!r:.80}")


def _is_of(value: Any, kind: Any) -> bool:
    if kind is Any:
        return True
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is Union:  # Optional
        return any(_is_of(value, each) for each in inner)
    if origin is list:
        return isinstance(value, (list, tuple)) and all(_is_of(each, inner[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(_is_of(each, inner[1]) for each in value.values())
    if kind in (int, float):
        return type(value) is int or (kind is float and type(value) is float)
    if not isinstance(value, kind):
        return False
    if dataclasses.is_dataclass(kind):
        check_kinds(value)
    return True
