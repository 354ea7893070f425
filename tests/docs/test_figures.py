"""The figures of the README are those of the pages and of the code that they come from."""

import re

import pytest

from evaluate.protocols import MULTI_SCALE
from evaluate.result_page import ADSL_REPORT, PAPER, PUBLISHED
from tests.docs.markdown import ROOT, SPAN, numbers, tables, without_blocks
from train.recipe import PRESETS

TRAINING_IMAGES, VALIDATION_IMAGES = 1_281_167, 50_000
CARDS = 8
DURATION = re.compile(r"\d+ min \d+ s\b")
RATIO = re.compile(r"(\d+(?:\.\d+)?) ?(?:times\b|×)")


def section(name: str, heading: str = "") -> str:
    """Return what stands under a heading of the second level; without one, the whole page."""
    text = (ROOT / name).read_text("utf-8")
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0] if heading else text


def table_with(text: str, head: str) -> list[list[str]]:
    """Return the rows of the one table of a text in whose heads this stands, heads included."""
    found = [table for table in tables(text) if head in " | ".join(table[0])]
    assert len(found) == 1, f"{len(found)} tables with '{head}' in their heads"
    return found[0]


def sentences(text: str) -> str:
    """Return a text without tables, blocks and code."""
    lines = SPAN.sub(" ", without_blocks(text)).splitlines()
    return "\n".join(line for line in lines if not line.startswith("|"))


def value(number: str) -> float:
    return float(number.replace(",", ""))


def figures(text: str, unit: str) -> list[float]:
    """Return the numbers that stand before the unit, at least one."""
    found = re.findall(rf"(\d+(?:,\d{{3}})*(?:\.\d+)?) {unit}(?![A-Za-z])", text)
    assert found, f"no figure in {unit}: {text}"
    return list(map(value, found))


def row_of(table: list[list[str]], name: str) -> dict[str, str]:
    """Return the cells of the one row in whose first cell this stands, by their heads."""
    found = [dict(zip(table[0], row)) for row in table[1:] if name in row[0]]
    assert len(found) == 1, f"{len(found)} rows with '{name}'"
    return found[0]


def conversions() -> dict[str, dict[str, str]]:
    """Return the rows of the tables of conversions by their first cells."""
    return {row[0].strip("*"): dict(zip(table[0], row))
            for table in tables(section("docs/benchmarks.md", "Conversion")) for row in table[1:]}


def step(target: str) -> str:
    """Return the row of the README's table of disk and time for this command."""
    text = section("README.md", "ImageNet in five commands")
    return " | ".join(row_of(table_with(text, "time"), f"`{target}`").values())


def are_among(some: list[str], all_of_them: list[str]) -> bool:
    """Return whether the first list is the second one with some left out."""
    rest = iter(all_of_them)
    return all(number in rest for number in some)


def rows_of(table: list[list[str]]) -> dict[str, list[str]]:
    """Return the numbers of the rows by their first cells."""
    return {cells[0].strip("*"): numbers(" | ".join(cells[1:])) for cells in table[1:]}


def differing(shown: dict[str, list[str]], measured: dict[str, list[str]]) -> list[str]:
    """Return the first cells of the rows shown that were not measured, or not so."""
    return [name for name, values in shown.items()
            if name not in measured or not are_among(values, measured[name])]


def test_every_speed_row_of_the_readme_is_one_of_the_benchmarks():
    """All are rows of one table, of which the README may leave columns and rows out."""
    shown = rows_of(table_with(section("README.md", "Results"), "ms/step"))
    found = [differing(shown, rows_of(table)) for table in tables(section("docs/benchmarks.md"))]
    assert shown and [] in found, min(found, key=len)


def test_figures_in_the_sentences_of_the_results_are_those_of_the_benchmarks():
    """But for a ratio, which the next test computes."""
    text = RATIO.sub(" ", sentences(section("README.md", "Results")))
    measured = section("docs/benchmarks.md")
    assert set(numbers(text)) - set(numbers(measured)) == set()
    assert set(DURATION.findall(text)) <= set(DURATION.findall(measured))


def test_the_feed_is_faster_than_the_reports_by_what_was_measured():
    feeds = table_with(section("docs/benchmarks.md", "Training feed"), "warm cache")
    ours, the_reports = (value(row_of(feeds, name)["warm cache"])
                         for name in ("ours, global shuffle", "class folders"))
    shown = RATIO.findall(section("README.md", "Results"))
    assert [*map(float, shown)] == [round(ours / the_reports, 1)]


def test_seconds_of_conversions_are_those_of_the_benchmarks():
    """Those of the default and of MindSpore's own have to be among them."""
    text = DURATION.sub(" ", sentences(section("README.md", "Results")))
    shown = set(figures(text, "s"))
    seconds = {name: value(row["seconds"]) for name, row in conversions().items()}
    assert shown <= set(seconds.values())
    assert {seconds["convert --check decode"], seconds["`ImageNetToMR`"]} <= shown


def test_the_time_of_the_conversion_follows_from_what_was_measured():
    row = step("make convert")
    rate = value(conversions()["convert --check decode"]["images/s"])
    assert rate in figures(row, "images/s")
    seconds = (TRAINING_IMAGES + VALIDATION_IMAGES) / rate
    assert round(seconds / 60) in figures(row, "min")
    # The disk reads the images, which the head of the table has, and writes somewhat more.
    head = " | ".join(table_with(section("README.md", "ImageNet in five commands"), "time")[0])
    read, written = (1000 * figures(text, "GB")[0] / seconds for text in (head, row))
    assert read - 1 < figures(row, "MB/s")[0] < written + 1


def test_the_time_of_the_verification_is_that_of_the_rehearsal():
    stages = table_with(section("docs/benchmarks.md", "The full count, rehearsed"), "stage")
    minutes = round(value(row_of(stages, "verify both")["seconds"]) / 60)
    assert minutes in figures(step("make verify"), "min")


def test_the_time_of_the_training_follows_from_the_model_zoos_speed():
    row = step("make train-8p")
    rate, = figures(row, "images/s")
    assert f"{rate:,.0f}" in numbers(section("docs/original-report.md"))
    hours = TRAINING_IMAGES * PRESETS["adsl-8p"].epochs / rate / 3600
    assert round(hours, 1) in figures(row, "hours")


def test_the_time_of_the_evaluation_is_the_projected_one():
    row, projected = step("make eval-144"), section("docs/benchmarks.md", "144 crops")
    rate, = figures(row, "forwards/s")
    assert rate in figures(projected, "forwards/s")
    hours = VALIDATION_IMAGES * MULTI_SCALE / rate / CARDS / 3600
    assert round(hours * 60) in figures(row, "min")
    assert round(hours, 2) in figures(projected, "h on eight")


def accuracies() -> list[list[str]]:
    """Return the rows of the README's table that have errors."""
    table = table_with(section("README.md", "Results"), "published by")
    return [row for row in table[1:] if numbers(row[2])]


@pytest.mark.parametrize("row", accuracies(), ids=" ".join)
def test_each_accuracy_of_the_readme_is_the_published_one(row):
    """As in the code, from which the report page has it; timm's as in docs/reproducing.md."""
    images, crops = (int(number.replace(",", "")) for number in numbers(row[1]))
    if row[0].startswith("timm"):
        published = row_of(table_with(section("docs/reproducing.md"), "where it is published"),
                           f"{images:,} images, {crops} crop")
        errors = [f"{100 - float(published[head]):.2f}" for head in ("top-1, %", "top-5, %")]
        assert numbers(row[2]) == errors
        return
    source = PAPER if "`paper`" in row[0] else ADSL_REPORT
    assert (source, images, crops, *map(float, numbers(row[2]))) in {
        (each.source, each.images, each.crops, each.top1_error, each.top5_error)
        for each in PUBLISHED}


def test_the_accuracies_of_the_original_report_are_those_of_the_code():
    table = table_with(section("docs/original-report.md"), "top-1 error")
    stated = {tuple(map(float, numbers(" | ".join(row[1:3])))) for row in table[1:]
              if f"{MULTI_SCALE} crops" in row[0]}
    assert stated == {(each.top1_error, each.top5_error) for each in PUBLISHED
                      if each.crops == MULTI_SCALE and each.source in (PAPER, ADSL_REPORT)}
