"""Where an epoch's time went: its steps and their waiting for data, validation, the checkpoint."""

from dataclasses import dataclass
from typing import Optional, Sequence

from common.forms import HistoryLine
from evaluate.report.blocks import Figure, Table
from evaluate.report.plots import share_chart
from evaluate.report.translations import Translate

# What is not the steps' own stands below, where its height is read from 0.
STACKED = ("waiting", "validation", "checkpoint", "other", "steps")
PARTS = {"steps": "steps", "waiting": "waiting for data", "validation": "validation",
         "checkpoint": "checkpoint", "other": "other"}


@dataclass(frozen=True)
class EpochTime:
    """Seconds of an epoch by PARTS; of a run's last epoch, and of the last one of a process, what
    passed after its checkpoint is not known and not counted."""

    epoch: int
    seconds: dict[str, float]
    compiling: Optional[float]  # before the first step, in none of the parts

    @property
    def whole(self) -> float:
        return sum(self.seconds.values())

    def share(self, part: str) -> float:
        return 100 * self.seconds[part] / self.whole if self.whole else 0.0


def epoch_times(history: Sequence[HistoryLine]) -> list[EpochTime]:
    """Return the time of each epoch; none for a history of an old version, which has the steps'
    time alone."""
    if not any(line.seconds_validating or line.seconds_saving or line.waiting_for_data
               or line.seconds_since_last_epoch for line in history):
        return []
    times, done = [], 0
    passed = [line.seconds_since_last_epoch for line in history[1:]]  # after the epoch before it
    for line, following in zip(history, [*passed, None]):
        stepping = line.ms_per_step / 1000 * (line.step - done)
        waiting = stepping * (line.waiting_for_data or 0.0)
        validating, saving = line.seconds_validating or 0.0, line.seconds_saving or 0.0
        other = max(0.0, following - validating - saving) if following is not None else 0.0
        times.append(EpochTime(line.epoch, {
            "steps": stepping - waiting, "waiting": waiting, "validation": validating,
            "checkpoint": saving, "other": other}, line.compile_seconds))
        done = line.step
    return times


def times_figure(times: Sequence[EpochTime], t: Translate) -> Figure:
    shares = {part: (t(PARTS[part]), [time.share(part) for time in times])
              for part in STACKED if part in _parts_of(times)}
    return Figure(share_chart("times", shares, [time.epoch for time in times], t("epoch")),
                  t("share of each epoch's time, %"))


def times_table(times: Sequence[EpochTime], t: Translate) -> Table:
    parts = _parts_of(times)
    compiled = any(time.compiling is not None for time in times)
    heads = [t("epoch"), t("seconds"), *(t("{part}, %", part=t(PARTS[part])) for part in parts)]
    heads += [t("seconds compiling before it")] if compiled else []
    rows = [[f"{time.epoch}", f"{time.whole:,.1f}",
             *(f"{time.share(part):.1f}" for part in parts),
             *([f"{time.compiling:.1f}" if time.compiling is not None else "–"]
               if compiled else [])] for time in times]
    return Table(heads, rows, t("Time of every epoch"), left=())


def _parts_of(times: Sequence[EpochTime]) -> list[str]:
    """Return the parts that took any time."""
    return [part for part in PARTS if any(time.seconds[part] for time in times)]
