"""The page and its Markdown copy hold the figures of the files and say what is missing."""

import json
import re
import shutil
from dataclasses import replace
from xml.etree import ElementTree

from evaluate.report.blocks import Table


def test_figures_of_all_files_stand_in_both(pages):
    page, markdown_copy, table = pages[0]
    assert "<td>42.86</td>" in page and "<td>1.077</td>" in page
    assert page.count("<svg ") == 4 + 2 + 1 + 1 and page.count("data:image/jpeg;base64,") == 3
    for text in ("| results/deep/a-12 |", " 42.86 |", "1.077", "not installed", "c" * 64,
                 "python -m evaluate \\\n    --crops 1", "| repaired"):
        assert text in markdown_copy
    assert "| results/a-1 " in table and "| results/deep/a-12 " in table
    assert " 42.86 (15.82–74.95) |" in table and " 0.00 (0.00–35.43) |" in table


def test_the_page_is_well_formed_and_needs_no_other_file(pages):
    page = pages[0][0]
    elements = list(ElementTree.fromstring(page).iter())
    ids = [element.get("id") for element in elements if element.get("id")]
    assert len(ids) == len(set(ids)) > 9
    addresses = [value for element in elements for name, value in element.items()
                 if name == "src" or name.endswith("href")]
    assert all(re.match("#|data:", address) for address in addresses)
    assert {address[1:] for address in addresses if address[0] == "#"} <= set(ids)
    assert "<script" not in page and "url(http" not in page


def test_a_page_is_in_one_language_and_has_the_same_bytes_every_time(pages):
    english, chinese, again = pages
    assert english == again
    for text, translated in zip(english[:2], chinese[:2]):
        assert "Confident mistakes" in text and "高置信度错误" not in text
        assert "高置信度错误" in translated and "Confident mistakes" not in translated
    assert '<html lang="en">' in english[0] and '<html lang="zh-CN">' in chinese[0]


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
    assert replace(table, folded=True).html().startswith("<details><summary>T*</summary><div ")


def test_the_command_prints_the_table_and_where_the_page_is(trial, call):
    code, out, errors = call("report", "--results", trial / "results", "--out",
                             trial / "report.html", "--lang", "zh")
    assert (code, errors) == (0, []) and "top-1 错误率" in out
    assert out.endswith(f"report: {trial / 'report.html'}   {trial / 'report.md'}\n")
    code, _, errors = call("report", "--results", trial / "results", "--out", trial / "report.md")
    assert code == 2 and "give a name that ends in .html" in errors[0]
