"""Writing the report: an HTML page that needs no network, no script and no other file, and a
Markdown copy of it."""

from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Sequence

from common.cli import RequestError
from common.files import write_text
from evaluate.report.accuracy import accuracy_section, curve_section, glance_section, summary
from evaluate.report.blocks import LeftOut, Section, escape_markdown
from evaluate.report.classes import classes_section
from evaluate.report.data_sheet import data_section
from evaluate.report.gallery import gallery_section
from evaluate.report.heading import origin_facts, page_title
from evaluate.report.host_sections import doctor_section, scale_section
from evaluate.report.inputs import Inputs, read_inputs
from evaluate.report.reproduction import reproduction_section
from evaluate.report.speed import speed_section
from evaluate.report.training import training_section
from evaluate.report.translations import LANGUAGES, Translate, translator
from evaluate.request import ReportRequest

# By their anchors: the title, and what makes the blocks or raises LeftOut.
SECTIONS = {
    "glance": ("At a glance", glance_section),
    "accuracy": ("Accuracy", accuracy_section),
    "training": ("Training", training_section),
    "curve": ("Accuracy against the number of crops", curve_section),
    "speed": ("Speed", speed_section),
    "classes": ("Error per class and the most confused pairs", classes_section),
    "gallery": ("Confident mistakes", gallery_section),
    "data": ("Data sheet of the record sets", data_section),
    "doctor": ("Checks of the host", doctor_section),
    "scale": ("Rehearsal at ImageNet's full count", scale_section),
    "reproduce": ("How to reproduce this page", reproduction_section)}
STYLE_SHEET = Path(__file__).with_name("page.css")


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
    t = translator(request.lang)
    inputs = replace(read_inputs(request.run, request.results, request.records, t),
                     page=request.out)
    sources = [inputs.results] + ([inputs.run.folder] if inputs.run else [])
    title, origin = page_title(inputs, t), origin_facts(inputs, t)
    lead = t("Made from {sources}.", sources=t(" and ").join(map(str, sources)))
    sections = _sections(inputs, t)
    write_text(request.markdown_copy, "\n\n".join([
        f"# {escape_markdown(title)}", escape_markdown(lead),
        *([origin.markdown()] if origin else []),
        *(section.markdown() for section in sections)]) + "\n")
    header = f"<p>{escape(lead)}</p>" + (origin.html() if origin else "")
    write_text(request.out, _html(title, header, sections, t, LANGUAGES[request.lang]))
    return summary(inputs.evaluations, t)


def _sections(inputs: Inputs, t: Translate) -> list[Section]:
    """Return the sections that can be made, and one that says why others are missing."""
    sections: list[Section] = []
    left_out: list[str] = []
    for name, (title, build) in SECTIONS.items():
        try:
            sections.append(Section(name, t(title), build(inputs, t)))
        except LeftOut as reason:
            if reason.args:
                left_out.append(t("{title}: {reason}", title=t(title), reason=reason))
    left_out += inputs.notes
    if left_out:
        sections.append(Section("left-out", t("Left out"), left_out))
    return sections


def _html(title: str, header: str, sections: Sequence[Section], t: Translate, language: str
          ) -> str:
    links = "".join(f'<li><a href="#{section.name}">{escape(section.title)}</a></li>'
                    for section in sections)
    main = "\n".join(section.html() for section in sections)
    hint = escape(t("scroll sideways →"))
    # The icon is empty: without one, a browser would ask a server for it.
    return f"""\
<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
<link rel="icon" href="data:,"/>
<title>{escape(title)}</title>
<style>
{STYLE_SHEET.read_text(encoding="utf-8")}</style>
</head>
<body style="--scroll-hint: '{hint}'">
<header><h1>{escape(title)}</h1>
{header}
<nav aria-label="{escape(t("Sections"))}"><ul>{links}</ul></nav></header>
<main>
{main}
</main>
</body>
</html>
"""
