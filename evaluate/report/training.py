"""The course of a training: loss, learning rate with its phases, single-crop errors."""

import itertools
import statistics
from typing import Any, Optional, Sequence, Union

from evaluate.report.accuracy import SETS
from evaluate.report.content import (Fact, Facts, Figure, Figures, Missing,
                                     Section, Table, number)
from evaluate.report.inputs import PLAN, Inputs, RunFiles
from evaluate.report.plots import COLOURS, Line, Mark, line_chart
from evaluate.report.texts import Translate

FOLDED_FROM = 20  # rows


def training_section(inputs: Inputs, say: Translate) -> Union[Section, Missing]:
    run = inputs.run
    if run is None:
        return Missing(say("training.title"), say("training.no_run"))
    if not run.history:
        return Missing(say("training.title"), say("training.no_history", folder=run.folder))
    notes = [] if any(_is_scored(run, *pair) for pair in _SETS_AND_TOPS) else [
        say("training.no_check")]
    if "learning_rates" not in run.plan:
        notes.append(say("training.no_plan", file=run.folder / PLAN))
    return Section("training", say("training.title"), [
        Facts(_facts(run, say)), Figures(_figures(run, say)), *notes, _table(run.history, say)])


_SETS_AND_TOPS = tuple(itertools.product(SETS, ("top1", "top5")))


def _field(name: str, top: str) -> str:
    return f"{name}_{top}_error"


def _facts(run: RunFiles, say: Translate) -> list[Fact]:
    last, config = run.history[-1], run.config
    planned = run.plan.get("epochs")
    facts = [Fact(say("training.epochs"), f"{last['epoch']}",
                  say("training.of", planned=planned) if planned else "")]
    if config:
        facts += [
            Fact(say("training.batch"), f"{config['ranks'] * config['batch_size']:,}",
                 say("training.ranks", ranks=config["ranks"], batch=config["batch_size"])),
            Fact(say("training.optimizer"), config["optimizer"],
                 say("training.preset", preset=config["preset"], device=config["device"]))]
    return facts + _speed_fact(run, say) + _best_fact(run, say)


def _speed_fact(run: RunFiles, say: Translate) -> list[Fact]:
    rates, times = ([line[name] for line in run.history if name in line]
                    for name in ("images_per_second", "ms_per_step"))
    if not rates or not times:
        return []
    return [Fact(say("training.speed"), number(statistics.median(rates)),
                 say("training.speed_of", ms=number(statistics.median(times))))]


def _best_fact(run: RunFiles, say: Translate) -> list[Fact]:
    for name in reversed(SETS):
        checked = [line for line in run.history if _field(name, "top1") in line]
        if checked:
            best = min(checked, key=lambda line: line[_field(name, "top1")])
            return [Fact(say("training.best"), f"{best[_field(name, 'top1')]:.2f} %",
                         say("training.best_at", set=say(f"set.{name}"), epoch=best["epoch"]))]
    return []


def _is_scored(run: RunFiles, name: str, top: str) -> bool:
    """Whether any epoch has that error: one whose scoring failed has none."""
    return any(_field(name, top) in line for line in run.history)


def _figures(run: RunFiles, say: Translate) -> list[Figure]:
    marks = phase_marks(run.config, say)
    epochs = [line["epoch"] for line in run.history]
    loss = Line("", epochs, [line["loss"] for line in run.history])
    figures = [
        Figure(line_chart("loss", [loss], say("epoch"), marks), say("training.loss")),
        Figure(line_chart("rate", [_rate(run)], say("epoch"), marks), say("training.rate"))]
    for top in ("top1", "top5"):
        lines = [Line(say("curve.line", set=say(f"set.{name}")), epochs,
                      [line.get(_field(name, top)) for line in run.history], COLOURS[name],
                      dashed=name == "filtered")
                 for name in SETS if _is_scored(run, name, top)]
        if lines:
            figures.append(Figure(line_chart(f"training {top}", lines, say("epoch"), marks),
                                  say("training.errors", top=say(top))))
    return figures


def phase_marks(config: dict[str, Any], say: Translate) -> list[Mark]:
    """The ends of the epochs (0: the start) after which the recipe's phases begin."""
    phases = config.get("phases", [])
    begins = itertools.accumulate((phase["epochs"] for phase in phases), initial=0)
    return [Mark(begin, say("training.phase", phase=place))
            for place, (begin, _) in enumerate(zip(begins, phases), start=1)]


def _rate(run: RunFiles) -> Line:
    """The rate of every step as planned; where that is not known, at the end of each epoch."""
    rates: Optional[Sequence[float]] = run.plan.get("learning_rates")
    if rates is None:
        return Line("", [line["epoch"] for line in run.history],
                    [line["learning_rate"] for line in run.history])
    corners = [step for step, rate in enumerate(rates) if _is_corner(rates, step)]
    return Line("", [step / run.plan["steps_per_epoch"] for step in corners],
                [rates[step] for step in corners], dots=False)


def _is_corner(rates: Sequence[float], step: int) -> bool:
    """Whether a line through the steps bends here: thousands of steps lie on straight pieces."""
    if step in (0, len(rates) - 1):
        return True
    before, here, after = rates[step - 1:step + 2]
    return abs((after - here) - (here - before)) > 1e-3 * max(rates[0], abs(here - before))


_COLUMNS = {"epoch": ("epoch", "d"), "step": ("training.step", ",d"),
            "loss": ("training.loss_head", ".3f"), "learning_rate": ("training.rate_head", ".3g"),
            "ms_per_step": ("training.ms", ",.0f"),
            "images_per_second": ("training.per_second", ",.1f"),
            "waiting_for_data": ("training.waiting", ".1%")}


def _table(history: Sequence[dict[str, Any]], say: Translate) -> Table:
    heads = [say(key) for key, _ in _COLUMNS.values()]
    heads += [say("curve.head", set=say(f"set.{name}"), top=say(f"{top}.percent"))
              for name, top in _SETS_AND_TOPS]
    forms = {name: form for name, (_, form) in _COLUMNS.items()}
    forms.update({_field(*pair): ".2f" for pair in _SETS_AND_TOPS})
    rows = [["–" if line.get(name) is None else format(line[name], form).rstrip("%")
             for name, form in forms.items()] for line in history]
    return Table(heads, rows, say("training.table"), left=(), folded=len(rows) >= FOLDED_FROM)
