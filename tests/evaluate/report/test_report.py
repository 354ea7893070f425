"""The page and its Markdown copy hold the figures of the files and say what is missing."""

import json
import re
import shutil
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from small import RESULT, predictions_of

from common.cli import RequestError
from evaluate.command import write_results
from evaluate.report.blocks import LONG, Table
from evaluate.report.page import write_report
from evaluate.report.translations import LANGUAGES, translator
from evaluate.request import ReportRequest, RescoreRequest
from evaluate.rescore import rescore_result
from evaluate.results import Result


def test_figures_of_all_files_stand_in_both(pages):
    page, markdown_copy, table = pages["en"]
    assert "<td>42.86</td>" in page and "<td>1.077</td>" in page
    assert page.count("<svg ") == 4 + 1 + 1 + 1 and page.count("data:image/jpeg;base64,") == 3
    for text in ("| results/deep/a-12 |", " 42.86 |", "1.077", "not installed", "c" * 64,
                 "python -m evaluate \\\n    --crops 1", "| repaired"):
        assert text in markdown_copy
    assert "| results/a-1 " in table and "| results/deep/a-12 " in table
    assert " 42.86 (15.82–74.95) |" in table and "top-5" not in table
    assert page.count("top-5") == markdown_copy.count("top-5") == 1  # why there is none


def test_the_page_is_well_formed_and_needs_no_other_file(pages):
    page = pages["en"][0]
    elements = list(ElementTree.fromstring(page).iter())
    ids = [element.get("id") for element in elements if element.get("id")]
    assert len(ids) == len(set(ids)) > 9
    addresses = [value for element in elements for name, value in element.items()
                 if name == "src" or name.endswith("href")]
    files = [address for address in addresses if not re.match("#|data:", address)]
    assert files == [f"results/{result}/{name}" for result in ("a-1", "deep/a-12")
                     for name in ("result.csv", "classes.csv")]
    assert {address[1:] for address in addresses if address[0] == "#"} <= set(ids)
    assert "<script" not in page and "url(http" not in page


def test_a_page_is_in_one_language_and_has_the_same_bytes_every_time(pages):
    assert pages["en"] == pages["again"]
    headings = {language: translator(language)("Confident mistakes") for language in LANGUAGES}
    assert headings["zh"] == "高置信度错误"
    for language, code in LANGUAGES.items():
        for text in pages[language][:2]:
            assert [heading in text for heading in headings.values()] == [
                heading == headings[language] for heading in headings.values()]
        assert f'<html lang="{code}">' in pages[language][0]


def test_what_is_missing_is_left_out_and_reported(trial, write):
    shutil.rmtree(trial / "results" / "bench")
    shutil.rmtree(trial / "results" / "deep")
    page, markdown_copy, _ = write(trial, run=None)
    for text in (page, markdown_copy):
        assert "Training: no run folder was given" in text
        assert "the number of crops: no result was made with --curve" in text
    assert 'id="training"' not in page and 'id="accuracy"' in page


def test_records_that_are_gone_are_reported_and_mistakes_stay_without_images(trial, write):
    for path in (trial / "results").glob("**/result.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "records": "/nowhere"}))
    for text in write(trial)[:2]:
        assert "The record set /nowhere no longer exists" in text
        assert "Images are left out" in text and "label 2" in text and "80.0" in text
        assert "data:image/jpeg" not in text


def test_a_run_alone_makes_a_page(trial, write):
    page, _, table = write(trial, results="none")
    assert 'id="training"' in page and "none has no evaluation result" in page and table == ""


def test_text_of_files_stays_text(trial, write):
    (trial / "results" / "a-1").rename(trial / "results" / "<b>a|1")
    (trial / "results" / "result.json").write_text('{"a": 1}')
    page, markdown_copy, _ = write(trial)
    assert "results/result.json is neither an evaluation result nor a benchmark table" in page
    assert "&lt;b&gt;a|1" in page and "<b>a|1" not in page
    assert r"| results/\<b>a\|1 " in markdown_copy


def test_a_table_in_both_forms():
    table = Table(["a|b, %", "c", "d"], [["x", "<y", "1_0"], ["z", "`", "2"]], "T*", left=(0,),
                  code=(1,), set_apart=frozenset([1]))
    assert table.html() == """\
<h3>T*</h3><div class="scroll" tabindex="0"><table>
<thead><tr><th class="left">a|b,&#160;%</th><th class="code">c</th><th>d</th></tr></thead>
<tbody>
<tr><td class="left">x</td><td class="code">&lt;y</td><td>1_0</td></tr>
<tr class="apart"><td class="left">z</td><td class="code">`</td><td>2</td></tr>
</tbody></table></div>"""
    assert table.markdown() == """\
### T\\*

| a\\|b, % |    c |    d |
|---------|-----:|-----:|
| x       | `<y` | 1\\_0 |
| z       |   \\` |    2 |"""
    assert replace(table, folded=True).html().startswith(
        "<details><summary>T* <small>2</small></summary><div ")


def test_a_long_table_folds_itself_where_a_caption_says_what_it_is():
    rows = [["x"]] * LONG
    assert not Table(["a"], rows, "T").is_folded and Table(["a"], [*rows, ["y"]], "T").is_folded
    assert "<details>" not in Table(["a"], [*rows, ["y"]]).html()


def test_a_thousand_classes_are_one_chart_and_one_folded_table(trial, write):
    """50 images each, as in ILSVRC; the page is no larger than an image or two."""
    folder, images = trial / "results" / "b-1", 50_000
    labels = np.arange(images, dtype=np.int32) % 1000
    top5 = (labels[:, None] + [0, 1, 2, 3, 4]) % 1000
    top5[::7] = top5[::7, ::-1]
    folder.mkdir()
    names = [f"n{label:08}" for label in range(1000)]
    about = {**RESULT, "crops": 144, "classes": 1000, "class_names": names}
    write_results(folder, Result.from_json(about), predictions_of(labels, top5))
    page, _, _ = write(trial)
    assert page.count("<td class=\"left\">n00000") > 1000  # those, and the worst once more
    before, table = page.split("All 1,000 classes, worst first")
    assert before.endswith("<details><summary>") and len(page) < 600_000


def test_links_are_relative_to_the_page_and_only_to_files_that_exist(trial, write):
    (trial / "results" / "a-1").rename(trial / "results" / "a: 1%")
    (trial / "results" / "a: 1%" / "result.csv").unlink()
    (trial / "pages").mkdir()
    request = ReportRequest(trial / "results", trial / "pages" / "report.html")
    write_report(request)
    page = request.out.read_text(encoding="utf-8")
    assert re.findall('<a href="([^#].*?)"', page) == [
        "../results/a%3A%201%25/classes.csv", "../results/deep/a-12/result.csv",
        "../results/deep/a-12/classes.csv"]
    assert ("- results/deep/a-12: [result.csv](../results/deep/a-12/result.csv), "
            in request.markdown_copy.read_text(encoding="utf-8"))


def test_the_command_prints_the_table_and_where_the_page_is(trial, call):
    code, out, errors = call("report", "--results", trial / "results", "--out",
                             trial / "report.html", "--lang", "zh")
    assert (code, errors) == (0, []) and "top-1 错误率" in out
    assert out.endswith(f"report: {trial / 'report.html'}   {trial / 'report.md'}\n")
    code, _, errors = call("report", "--results", trial / "results", "--out", trial / "report.md")
    assert code == 2 and "give a name that ends in .html" in errors[0]


def test_scores_by_other_labels_are_shown_while_their_predictions_are_the_same(trial, write):
    folder, ids = trial / "results" / "a-1", trial / "some.txt"
    ids.write_text("1\n2\n3\n")
    real = trial / "real.json"
    real.write_text(json.dumps([[0, 1], [], [2], [0], [1], [2], [0]]))
    for files in ({"ids": ids}, {"ids": ids, "without": True}, {"real": real}):
        rescore_result(RescoreRequest(folder, **files))
    page, markdown_copy, _ = write(trial)
    assert "Other labels and subsets" in page and f"--real {real}" in page
    for note in ("some: only the images that the list names.",
                 "without-some: all images but those that the list names.",
                 "real: a prediction is right if it is one of the image&#x27;s ReaL labels"):
        assert page.count(f"<p>{note}") == 1
    line = next(line for line in markdown_copy.splitlines() if "| some " in line)
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells[:6] == ["results/a-1", "some", "full", "1", "3", "33.33"] and cells[7] == "4"
    shutil.copy(trial / "results" / "deep" / "a-12" / "predictions.npz", folder)
    with pytest.raises(RequestError, match="rescored-real.json was made from other predictions"):
        write(trial)
