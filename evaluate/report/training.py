"""The course of a training: loss, learning rate with its phases, single-crop errors."""

import itertools
import statistics
from typing import Any, Callable, Mapping, Optional, Sequence, Union

from common.forms import HistoryLine
from evaluate.report.accuracy import ERRORS, PERCENT, SETS
from evaluate.report.content import Fact, Facts, Figure, Figures, Missing, Section, Table, number
from evaluate.report.inputs import PLAN, Inputs, RunFiles
from evaluate.report.plots import COLOURS, Line, Mark, line_chart
from evaluate.report.translations import Translate

FOLDED_FROM = 20  # rows
SETS_AND_ERRORS = tuple(itertools.product(SETS, ERRORS))

# Head of each column, and how a line of history fills it; None is shown as a dash.
COLUMNS: dict[str, Callable[[HistoryLine], Optional[str]]] = {
    "epoch": lambda line: f"{line.epoch}",
    "step": lambda line: f"{line.step:,}",
    "loss": lambda line: f"{line.loss:.3f}",
    "learning rate": lambda line: f"{line.learning_rate:.3g}",
    "ms/step": lambda line: f"{line.ms_per_step:,.0f}",
    "images/s": lambda line: f"{line.images_per_second:,.1f}",
    "waiting for data, %": lambda line: (
        None if line.waiting_for_data is None else f"{100 * line.waiting_for_data:.1f}"),
}


def training_section(inputs: Inputs, t: Translate) -> Union[Section, Missing]:
    run = inputs.run
    if run is None:
        return Missing(t("Training"), t("no run folder was given, or it does not exist."))
    if not run.history:
        return Missing(t("Training"), t("{folder} has no finished epoch yet.", folder=run.folder))
    notes = []
    if not any(_errors(run.history, name, top) for name, top in SETS_AND_ERRORS):
        notes.append(t("The run was not scored on a validation set."))
    if "learning_rates" not in run.plan:
        notes.append(t("{file} is missing: the learning rate is the one at the end of each epoch.",
                       file=run.folder / PLAN))
    return Section("training", t("Training"), [
        Facts(_facts(run, t)), Figures(_figures(run, t)), *notes, _table(run.history, t)])


def _error(line: HistoryLine, name: str, top: str) -> Optional[float]:
    return getattr(line, f"{name}_{top}_error")


def _errors(history: Sequence[HistoryLine], name: str, top: str) -> list[tuple[float, int]]:
    """Return (error, epoch) of the epochs that were scored: not all need be."""
    errors = ((_error(line, name, top), line.epoch) for line in history)
    return [(error, epoch) for error, epoch in errors if error is not None]


def _facts(run: RunFiles, t: Translate) -> list[Fact]:
    planned, config = run.plan.get("epochs"), run.config
    facts = [Fact(t("epochs"), f"{run.history[-1].epoch}",
                  t("of {planned} planned", planned=planned) if planned else "")]
    if config:
        ranks, batch = config["ranks"], config["batch_size"]
        facts += [
            Fact(t("images per step"), f"{ranks * batch:,}",
                 f"{ranks} × {batch}"),
            Fact(t("optimizer"), config["optimizer"],
                 t("preset {preset}, {device}", preset=config["preset"], device=config["device"]))]
    rate = statistics.median(line.images_per_second for line in run.history)
    step = statistics.median(line.ms_per_step for line in run.history)
    facts.append(Fact(t("images per second"), number(rate),
                      t("median of the epochs; {ms} ms per step", ms=number(step))))
    return facts + _best_fact(run, t)


def _best_fact(run: RunFiles, t: Translate) -> list[Fact]:
    """Return the lowest error, of the filtered set if there is one."""
    for name in ("filtered", "full"):
        errors = _errors(run.history, name, "top1")
        if errors:
            error, epoch = min(errors)
            return [Fact(t("best single-crop top-1 error"), f"{error:.2f} %",
                         t("{set} set, epoch {epoch}", set=t(SETS[name]), epoch=epoch))]
    return []


def _figures(run: RunFiles, t: Translate) -> list[Figure]:
    marks = phase_marks(run.config, t)
    epochs = [line.epoch for line in run.history]
    loss = Line("", epochs, [line.loss for line in run.history])
    figures = [
        Figure(line_chart("loss", [loss], t("epoch"), marks), t("training loss, mean per epoch")),
        Figure(line_chart("rate", [_rate(run)], t("epoch"), marks), t("learning rate and phases"))]
    for top in ERRORS:
        lines = [Line(t("{set} set", set=t(SETS[name])), epochs,
                      [_error(line, name, top) for line in run.history], COLOURS[name],
                      dashed=name == "filtered")
                 for name in SETS if _errors(run.history, name, top)]
        if lines:
            figures.append(Figure(line_chart(f"training {top}", lines, t("epoch"), marks),
                                  t("single-crop {top}, %", top=t(ERRORS[top]))))
    return figures


def phase_marks(config: Mapping[str, Any], t: Translate) -> list[Mark]:
    """Return a mark where each phase of the recipe begins, at the end of an epoch (0: the start).
    """
    phases = config.get("phases", [])
    begins = itertools.accumulate((phase["epochs"] for phase in phases), initial=0)
    return [Mark(begin, t("phase {phase}", phase=place))
            for place, (begin, _) in enumerate(zip(begins, phases), start=1)]


def _rate(run: RunFiles) -> Line:
    """Return the planned rate of every step; if it is not known, that at each epoch's end."""
    rates: Optional[Sequence[float]] = run.plan.get("learning_rates")
    if rates is None:
        return Line("", [line.epoch for line in run.history],
                    [line.learning_rate for line in run.history])
    corners = [step for step in range(len(rates)) if _is_corner(rates, step)]
    return Line("", [step / run.plan["steps_per_epoch"] for step in corners],
                [rates[step] for step in corners], dots=False)


def _is_corner(rates: Sequence[float], step: int) -> bool:
    """Return whether a line through the steps bends here: thousands lie on straight pieces."""
    if step in (0, len(rates) - 1):
        return True
    before, here, after = rates[step - 1:step + 2]
    return abs((after - here) - (here - before)) > 1e-3 * max(rates[0], abs(here - before))


def _table(history: Sequence[HistoryLine], t: Translate) -> Table:
    heads = [t(head) for head in COLUMNS]
    heads += [t("{set}, {top}", set=t(SETS[name]), top=t(PERCENT[top]))
              for name, top in SETS_AND_ERRORS]
    rows = []
    for line in history:
        errors = (_error(line, name, top) for name, top in SETS_AND_ERRORS)
        cells = [fill(line) for fill in COLUMNS.values()]
        cells += [None if error is None else f"{error:.2f}" for error in errors]
        rows.append(["–" if cell is None else cell for cell in cells])
    return Table(heads, rows, t("Every epoch"), left=(), folded=len(rows) >= FOLDED_FROM)
