"""The course of a training: loss, learning rate with its phases, single-crop errors."""

import itertools
import math
import statistics
from typing import Any, Mapping, Optional, Sequence

from common.forms import PLAN, HistoryLine
from evaluate.report.accuracy import ERRORS, PERCENT, SETS
from evaluate.report.blocks import Block, Fact, Facts, Figure, Figures, LeftOut, Table, number
from evaluate.report.inputs import Inputs, RunFiles
from evaluate.report.plots import Line, line_chart
from evaluate.report.times import epoch_times, times_figure, times_table
from evaluate.report.translations import Translate
from evaluate.results import tops_of

EMA = "ema_"  # before a set's name in a line of history: scored with the averaged weights
SCORED = (*SETS, *(EMA + name for name in SETS))


def training_section(inputs: Inputs, t: Translate) -> list[Block]:
    run = inputs.run
    if run is None:
        raise LeftOut(t("no run folder was given, or it does not exist."))
    if not run.history:
        raise LeftOut(t("{folder} has no finished epoch yet.", folder=run.folder))
    notes = []
    if not _scored(run.history):
        notes.append(t("The run was not scored on a validation set."))
    if not run.plan:
        notes.append(t("{file} is missing: the learning rate is that of the finished epochs.",
                       file=run.folder / PLAN))
    times, tops = epoch_times(run.history), _tops(inputs, run)
    return [Facts(_facts(run, t)),
            Figures(_figures(run, tops, t) + ([times_figure(times, t)] if times else [])), *notes,
            _table(run.history, tops, t), *([times_table(times, t)] if times else [])]


def _tops(inputs: Inputs, run: RunFiles) -> tuple[str, ...]:
    """Return which errors say something of the run's classes, whose number its record set has, or
    a result on the page."""
    records, best = inputs.record_sets.get(run.config.get("data_sha256", "")), inputs.best
    if records is not None:
        return tops_of(len(records.class_names))
    return tops_of(best.result.classes) if best is not None else tuple(ERRORS)


def _error(line: HistoryLine, name: str, top: str) -> Optional[float]:
    return getattr(line, f"{name}_{top}_error")


def _scored(history: Sequence[HistoryLine]) -> list[str]:
    """Return which of SCORED have errors in any epoch."""
    return [name for name in SCORED if _errors(history, name, "top1")]


def _set_label(name: str, t: Translate) -> str:
    of_set = t("{set} set", set=t(SETS[name.removeprefix(EMA)]))
    return t("{set}, averaged weights", set=of_set) if name.startswith(EMA) else of_set


def _errors(history: Sequence[HistoryLine], name: str, top: str) -> list[tuple[float, int]]:
    """Return (error, epoch) of the epochs that were scored: not all need be."""
    errors = ((_error(line, name, top), line.epoch) for line in history)
    return [(error, epoch) for error, epoch in errors if error is not None]


def _facts(run: RunFiles, t: Translate) -> list[Fact]:
    planned, config = run.plan.get("epochs"), run.config
    facts = [Fact(t("epochs"), f"{run.history[-1].epoch}",
                  t("of {planned} planned", planned=planned) if planned else "")]
    if config:
        parts = [config["ranks"], config["batch_size"]]
        if config.get("accumulate", 1) > 1:
            parts.append(config["accumulate"])
        facts += [
            Fact(t("images per step"), f"{math.prod(parts):,}", " × ".join(map(str, parts))),
            Fact(t("optimizer"), config["optimizer"],
                 t("preset {preset}, {device}", preset=config["preset"], device=config["device"]))]
    rate = statistics.median(line.images_per_second for line in run.history)
    step = statistics.median(line.ms_per_step for line in run.history)
    facts.append(Fact(t("images per second"), number(rate),
                      t("median of the epochs; {ms} ms per step", ms=number(step))))
    return (facts + _boundary_fact(run.history, t) + _skipped_fact(run.history, t)
            + _best_fact(run, t))


def _boundary_fact(history: Sequence[HistoryLine], t: Translate) -> list[Fact]:
    """Return the share of the time that passes between epochs; none where no epoch follows another
    in the same process."""
    pairs = [(ended, line) for ended, line in zip(history, history[1:])
             if line.seconds_since_last_epoch is not None]
    if not pairs:
        return []
    between = sum(line.seconds_since_last_epoch or 0 for _, line in pairs)
    steps_of_epoch = history[-1].step / history[-1].epoch
    whole = between + sum(line.ms_per_step / 1000 * steps_of_epoch for _, line in pairs)
    validating, saving = (sum(getattr(ended, name) or 0 for ended, _ in pairs)
                          for name in ("seconds_validating", "seconds_saving"))
    return [Fact(t("time between epochs"), f"{100 * between / whole:.1f} %",
                 t("of it all; validating {validating} %, saving {saving} %",
                   validating=f"{100 * validating / whole:.1f}",
                   saving=f"{100 * saving / whole:.1f}"))]


def _skipped_fact(history: Sequence[HistoryLine], t: Translate) -> list[Fact]:
    """Return how many steps were skipped; none without a dynamic loss scale."""
    scale = history[-1].loss_scale
    if scale is None:
        return []
    skipped = sum(line.skipped_steps or 0 for line in history)
    return [Fact(t("skipped steps"), f"{skipped:,}",
                 t("of {steps}, their gradients overflowed; loss scale at the end {scale}",
                   steps=f"{history[-1].step:,}", scale=number(scale)))]


def _best_fact(run: RunFiles, t: Translate) -> list[Fact]:
    """Return the lowest error, of the filtered set if there is one, and of the averaged weights if
    there are any: those are what is evaluated."""
    for name in (EMA + "filtered", "filtered", EMA + "full", "full"):
        errors = _errors(run.history, name, "top1")
        if errors:
            error, epoch = min(errors)
            return [Fact(t("best single-crop top-1 error"), f"{error:.2f} %",
                         t("{set}, epoch {epoch}", set=_set_label(name, t), epoch=epoch))]
    return []


def _figures(run: RunFiles, tops: Sequence[str], t: Translate) -> list[Figure]:
    marks = phase_marks(run.config, t)
    epochs = [line.epoch for line in run.history]
    loss = Line("", epochs, [line.loss for line in run.history])
    figures = [
        Figure(line_chart("loss", [loss], t("epoch"), marks), t("training loss, mean per epoch")),
        Figure(line_chart("rate", [rate_line(run)], t("epoch"), marks),
               t("learning rate and phases"))]
    scales = [line.loss_scale for line in run.history]
    if any(scales):
        figures.append(Figure(
            line_chart("scale", [Line("", epochs, scales)], t("epoch"), marks, powers_of_2=True),
            t("loss scale at the end of each epoch")))
    for top in tops:
        lines = [Line(_set_label(name, t), epochs,
                      [_error(line, name, top) for line in run.history], name)
                 for name in _scored(run.history)]
        if lines:
            figures.append(Figure(line_chart(f"training {top}", lines, t("epoch"), marks),
                                  t("single-crop {top}, %", top=t(ERRORS[top]))))
    return figures


def phase_marks(config: Mapping[str, Any], t: Translate) -> list[tuple[float, str]]:
    """Return after how many epochs each phase of the recipe begins, and its label."""
    phases = config.get("phases", [])
    begins = itertools.accumulate((phase["epochs"] for phase in phases), initial=0)
    return [(begin, t("phase {phase}", phase=place))
            for place, (begin, _) in enumerate(zip(begins, phases), start=1)]


def rate_line(run: RunFiles) -> Line:
    """Return the rate at the end of each epoch that is planned; without a plan, of each one that
    is in the history."""
    rates: Optional[Sequence[float]] = run.plan.get("epoch_learning_rates")
    if rates is None and "learning_rates" in run.plan:  # of an older version, one per step
        steps = run.plan["steps_per_epoch"]
        rates = run.plan["learning_rates"][steps - 1::steps]
    if rates is None:
        return Line("", [line.epoch for line in run.history],
                    [line.learning_rate for line in run.history])
    return Line("", list(range(1, len(rates) + 1)), rates)


def _table(history: Sequence[HistoryLine], tops: Sequence[str], t: Translate) -> Table:
    heads = [t(head) for head in ("epoch", "step", "loss", "learning rate", "ms/step", "images/s",
                                  "waiting for data, %")]
    scaled = any(line.loss_scale is not None for line in history)
    heads += [t("loss scale"), t("skipped steps")] if scaled else []
    scored = _scored(history)
    averaged = any(name.startswith(EMA) for name in scored)
    columns = list(itertools.product(scored, tops))
    heads += [t("{set}, {top}", set=_set_label(name, t) if averaged else t(SETS[name]),
                top=t(PERCENT[top])) for name, top in columns]
    rows = []
    for line in history:
        waiting = None if line.waiting_for_data is None else 100 * line.waiting_for_data
        errors = (_error(line, name, top) for name, top in columns)
        scales = ([number(line.loss_scale), _or_dash(line.skipped_steps, ",")]
                  if scaled else [])
        rows.append([f"{line.epoch}", f"{line.step:,}", f"{line.loss:.3f}",
                     f"{line.learning_rate:.3g}", f"{line.ms_per_step:,.0f}",
                     f"{line.images_per_second:,.1f}", _or_dash(waiting, ".1f"),
                     *scales, *(_or_dash(error, ".2f") for error in errors)])
    return Table(heads, rows, t("Every epoch"), left=())


def _or_dash(value: Optional[float], form: str) -> str:
    return "–" if value is None else f"{value:{form}}"
