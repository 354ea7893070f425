"""Writes the report: the HTML page and, beside it, a Markdown copy of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Sequence

from common.cli import RequestError
from common.files import write_text
from evaluate.report.accuracy import accuracy_section, glance_section, summary
from evaluate.report.classes import classes_section
from evaluate.report.content import Missing, Page, Section
from evaluate.report.crop_curve import curve_section
from evaluate.report.data_sheet import data_section
from evaluate.report.gallery import gallery_section
from evaluate.report.html import html_page
from evaluate.report.inputs import Inputs, read_inputs
from evaluate.report.markdown import markdown_page
from evaluate.report.reproduction import reproduction_section
from evaluate.report.speed import speed_section
from evaluate.report.texts import LANGUAGES, Translate, speaker
from evaluate.report.training import training_section

SECTIONS = (glance_section, accuracy_section, training_section, curve_section, speed_section,
            classes_section, gallery_section, data_section, reproduction_section)


@dataclass(frozen=True)
class ReportRequest:
    """The arguments of ``python -m evaluate report``.

    Attributes:
        run: run folder, for the training.
        results: folder of result folders and benchmarks' tables, at any depth.
        out: the HTML file; the Markdown markdown_copy has its name with ``.md``.
        records: record sets, where they do not lie where results and run say.
        lang: one of ``LANGUAGES``.
    """

    run: Optional[Path]
    results: Path
    out: Path
    records: Sequence[Path] = ()
    lang: str = "en"

    @property
    def markdown_copy(self) -> Path:
        return self.out.with_suffix(".md")


def write_report(request: ReportRequest) -> str:
    """Write both files; a section whose files are missing is left out, and the page says so.

    Returns:
        The accuracy of all results as one Markdown table, empty when there is none.

    Raises:
        RequestError: there is nothing to report, a file is damaged, or ``out`` is no HTML file.
        CheckFailed: a record set does not hold the images of its result.
    """
    if request.out.suffix not in (".html", ".htm"):
        raise RequestError(f"--out {request.out}: give a name that ends in .html")
    say = speaker(request.lang)
    inputs = read_inputs(request.run, request.results, request.records)
    page = build_page(inputs, say, request.lang)
    write_text(request.markdown_copy, markdown_page(page))
    write_text(request.out, html_page(page))
    return summary(inputs.evaluations, say)


def build_page(inputs: Inputs, say: Translate, language: str) -> Page:
    built = [build(inputs, say) for build in SECTIONS]
    sections = [part for part in built if isinstance(part, Section)]
    reasons = [say("left_out.section", title=part.title, reason=part.reason)
               for part in built if isinstance(part, Missing)]
    reasons += [say(note.key, **note.values) for note in inputs.notes]
    if reasons:
        sections.append(Section("left-out", say("left_out.title"), reasons))
    sources = [inputs.results] + ([inputs.run.folder] if inputs.run else [])
    return Page(LANGUAGES[language], say("page.title"),
                say("page.lead", sources=say("and").join(map(str, sources))),
                say("page.contents"), sections)
