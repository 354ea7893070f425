"""The page and its Markdown copy hold the figures of the files and say what is missing."""

import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from common.cli import RequestError
from evaluate.report.page import write_report
from evaluate.request import ReportRequest

VOID = {"meta", "link", "img", "path", "use"}


class Checker(HTMLParser):
    """Collects what is opened and not closed in order, ids, and addresses."""

    def __init__(self):
        super().__init__()
        self.open, self.wrong, self.ids, self.addresses = [], [], [], []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids += [found["id"]] if "id" in found else []
        self.addresses += [found[name] for name in ("src", "href", "xlink:href") if name in found]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID and self.open.pop() != tag:
            self.wrong.append(tag)


def test_figures_of_all_files_stand_in_both(pages):
    page, markdown_copy, table = pages[0]
    assert "<td>42.86</td>" in page and "<td>1.077</td>" in page
    assert page.count("<svg ") == 4 + 2 + 1 + 1 and page.count("data:image/jpeg;base64,") == 3
    for text in ("| results/deep/a-12 |", " 42.86 |", "1.077", "not installed", "c" * 64,
                 "python -m evaluate \\\n    --crops 1", "| repaired"):
        assert text in markdown_copy
    assert "| results/a-1 " in table and " 42.86 (15.82–74.95) |" in table


def test_the_page_is_well_formed_and_needs_no_other_file(pages):
    page = pages[0][0]
    checker = Checker()
    checker.feed(page)
    assert not checker.wrong and not checker.open
    assert len(checker.ids) == len(set(checker.ids)) > 9
    assert all(re.match("#|data:", address) for address in checker.addresses)
    assert {address[1:] for address in checker.addresses if address[:1] == "#"} <= set(checker.ids)
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
    page, markdown_copy, _ = write(trial)
    assert "&lt;b&gt;a|1" in page and "<b>a|1" not in page
    assert r"| results/\<b>a\|1 " in markdown_copy


def test_a_page_that_is_no_html_is_refused(trial):
    with pytest.raises(RequestError, match="ends in .html"):
        write_report(ReportRequest(None, trial / "results", trial / "report.md"))


def test_the_command_prints_the_table_and_where_the_page_is(trial, call):
    code, out, errors = call("report", "--results", trial / "results", "--out",
                             trial / "report.html", "--lang", "zh")
    assert (code, errors) == (0, []) and "top-1 错误率" in out
    assert out.endswith(f"report: {trial / 'report.html'}   {trial / 'report.md'}\n")
