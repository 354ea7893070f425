"""The table of a simulated card has every feed, step and storage, says so in title and rows, and
is never one with measured rows."""

import contextlib
import os
import re

import pytest

from benchmarks.feed.storage import COLD, SLOW, WARM, Storage
from benchmarks.steps import simulated_table as module
from benchmarks.steps import step_table as steps
from benchmarks.steps.steps_plan import VARIANTS, plan_steps
from benchmarks.steps.request import SIMULATED_CARD, StepsRequest
from benchmarks.steps.simulated_card import SimulatedRun
from benchmarks.steps.simulated_table import describe_card
from benchmarks.steps.step_table import benchmark_steps
from benchmarks.steps.training_runs import Workload
from benchmarks.table import render
from common.cli import RequestError
from common.forms import SpeedRow, SpeedTable

ZOO = "simulated card, 58 ms per step (model zoo, 556 images/s on a 910)"
ADSL = "simulated card, 208 ms per step (original report, sink mode)"


@pytest.fixture
def runs(tmp_path, monkeypatch) -> list:
    """What was run where, with a stand-in that gives the step's time, and with class folders on the
    slow mount twice of it. A cold cache cannot be had."""
    seen = []

    def run(workload, step_ms, flags, work, environment):
        folder = flags[1].parent if flags[0] == "--records" else flags[1]
        seen.append((step_ms, folder.name, flags[0], "--sink" in flags, bool(environment)))
        assert environment == ({"JPEG_DECODER": "mindspore"} if "host" in flags else {})
        assert workload == Workload("simulated", "float32", 1, 32, 299, 10, 1, 3)
        assert work == tmp_path / "work" and (flags[0] == "--images" or flags[1].name == "records")
        slow = folder.name == "slow" and flags[0] == "--images"
        return SimulatedRun(workload.epochs * [(2 if slow else 1) * step_ms / 1000],
                            0.5 if slow else 0.0, 58 / step_ms)
    places = [Storage(title, lambda name=name: contextlib.nullcontext(tmp_path / "work" / name),
                      reason)
              for title, name, reason in ((WARM, "data", ""), (COLD, "data", "only root"),
                                          (SLOW, "slow", ""))]
    monkeypatch.setattr(module, "storages", lambda data: places)
    monkeypatch.setattr(module, "run_simulated", run)
    monkeypatch.setattr(module, "fill_cache", lambda data: seen.append("cache filled"))
    monkeypatch.setattr(steps, "make_folders_and_records",
                        lambda root, images, workers: seen.append((root, images, workers)))
    monkeypatch.setattr(steps, "available_cores", lambda: 6)
    return seen


def test_every_feed_runs_at_every_step_and_storage_in_turns(runs, tmp_path):
    table = benchmark_steps(StepsRequest(tmp_path, device="simulated", repeats=2))
    rows = [("--" + row.source, row.sink, row.normalize_on == "host") for row in VARIANTS]
    assert runs == [(tmp_path / "work" / "data", 40 * 32, 6), *(
        each for folder in ("data", "slow") for each in ["cache filled", *2 * [
            (step_ms, folder, *row) for step_ms in (58, 208) for row in rows]])]
    assert [(row.section, row.name) for row in table.rows] == [
        (f"{card}: {storage.lower()}", variant.name) for card in (ZOO, ADSL)
        for storage in (WARM, COLD, SLOW) for variant in VARIANTS]
    assert {row.simulated for row in table.rows} == {ZOO, ADSL} and table.simulated
    assert os.listdir(tmp_path) == [] and len(table.rows[0].seconds) == 2 * 3


def test_the_page_has_the_reports_columns_and_what_the_card_waits(runs, tmp_path):
    table = benchmark_steps(StepsRequest(tmp_path, device="simulated"))
    page = re.sub(" +", " ", render(table.with_figures()))
    title, *sections = page.split("\n## ")
    assert title.startswith("# Training in the original (ADSL) report's rows, on a simulated card "
                            "of 58 and 208 ms per step")
    warm, cold, slow = sections[:3]
    assert warm.startswith(f"{ZOO}: local files, warm cache\n")
    assert ("| variant | ms/step (mean) | min–max | images/s | rate, × first row | waiting for "
            "data, % | cores for one card | note |") in warm
    assert f"| {VARIANTS[4].name} | 58 | 58–58 | 552 | 1 | 0.0 | 1 | {ZOO} |" in warm
    assert f"| {VARIANTS[0].name} | – | – | – | – | – | – | {ZOO}; only root |" in cold
    assert f"| {VARIANTS[0].name} | 116 | 116–116 | 276 | 1 | 50.0 | 1 | {ZOO} |" in slow
    assert f"| {VARIANTS[2].name} | 58 | 58–58 | 552 | 2 | 0.0 | 1 | {ZOO} |" in slow
    assert (f'- {ZOO}: 8 of them need 8 such cores with "{VARIANTS[0].name}", 8 with '
            f'"{VARIANTS[-1].name}" (8 times one\'s)\n') in page
    assert f"- {ADSL}: 8 of them need 3 such cores with" in page
    assert "device simulated card" in page and "steps per run 30" in page
    assert table.settings == {
        "repeats": 1, "steps per run": 30, "steps left out before them": 10, "batch": 32,
        "crop": "299 px", "data": "1,280 images made, JPEGs of 115 KB",
        "slow mount": "20 ms per open, 1 ms per 128 KB"}


def test_the_source_of_a_steps_time_is_named_only_where_it_holds():
    assert describe_card(58.0, 32) == ZOO and describe_card(208.0, 32) == ADSL
    for step_ms, batch in ((58.0, 64), (60.5, 32)):
        assert describe_card(step_ms, batch) == (
            f"simulated card, {step_ms:g} ms per step (as given by --step-ms)")


@pytest.mark.parametrize("simulated", [ZOO, ""])
def test_simulated_and_measured_rows_are_never_in_one_table(simulated):
    rows = [SpeedRow("a", [1.0], simulated=simulated), SpeedRow("b", [], "no sink mode")]
    if simulated:
        with pytest.raises(ValueError, match="Steps: rows with a simulated card are next to"):
            SpeedTable("Steps", 1, "images", rows, {}, {})
    else:
        assert not SpeedTable("Steps", 1, "images", rows, {}, {}).simulated


@pytest.mark.parametrize("values, message", [
    ({"rows": "trainer"}, "--rows trainer: a simulated card has no step"),
    ({"images": "i"}, "--images i: a simulated card reads images that are made"),
    ({"records": "r"}, "--records r: a simulated card reads images that are made"),
    ({"cards": (1, 8), "batch_size": (32, 32)}, "--cards 1 8: a simulated card is one card"),
    ({"precision": "float16"}, "--precision float16: a simulated card computes nothing"),
    ({"batch_size": (64,)}, "--batch-size 64: give --step-ms, too"),
    ({"batch_size": (32, 32)}, "--batch-size 32 32"),
    ({"step_ms": (58.0, 58.0)}, "--step-ms 58 58: give each once")])
def test_what_has_no_meaning_for_it_is_refused(values, message, tmp_path):
    with pytest.raises(RequestError, match=message):
        plan_steps(StepsRequest(tmp_path, **values), SIMULATED_CARD)


def test_sizes_and_steps_may_be_given(tmp_path):
    plan = plan_steps(StepsRequest(tmp_path, cards=(1,), batch_size=(64,), step_ms=(116.5,),
                                   steps_per_epoch=5, warmup_epochs=2, epochs=4), SIMULATED_CARD)
    assert plan.steps_ms == (116.5,) and plan.images_to_make == (2 + 4) * 5 * 64


def test_cores_are_those_of_the_warm_cache_rounded_up():
    rows = [SpeedRow(VARIANTS[place].name, [1.0], section=f"{card}: {storage.lower()}",
                     simulated=card, cores_needed=cores)
            for card, factor in (("a card", 1), ("another", 3)) for place, storage, cores in (
                (0, COLD, 9.0), (0, WARM, 0.3 * factor), (-1, WARM, 0.125 * factor),
                (-1, SLOW, 9.0))]
    assert module.cores_of_a_host(rows) == [
        f'{card}: 8 of them need {report} such cores with "{VARIANTS[0].name}", {ours} with '
        f'"{VARIANTS[-1].name}" (8 times one\'s)'
        for card, report, ours in (("a card", 3, 1), ("another", 8, 3))]


def test_shares_and_cores_of_a_row_are_means_of_its_runs():
    cell = module.Cell(58.0, WARM, VARIANTS[1])
    runs = [SimulatedRun([1.0, 2.0], 0.25, 4.0), SimulatedRun([3.0], 0.75, 8.0)]
    row = module._row(cell, runs, 32, "")
    assert (row.seconds, row.waiting_for_data, row.cores_needed, row.items) == (
        [1.0, 2.0, 3.0], 0.5, 6.0, 32)
