"""Writing the report: the HTML page and a Markdown copy of it."""

from common.cli import RequestError
from common.files import write_text
from evaluate.report.accuracy import accuracy_section, curve_section, glance_section, summary
from evaluate.report.classes import classes_section
from evaluate.report.content import Missing, Page, Section
from evaluate.report.data_sheet import data_section
from evaluate.report.gallery import gallery_section
from evaluate.report.html import html_page
from evaluate.report.inputs import Inputs, read_inputs
from evaluate.report.markdown import markdown_page
from evaluate.report.reproduction import reproduction_section
from evaluate.report.speed import speed_section
from evaluate.report.training import training_section
from evaluate.report.translations import LANGUAGES, Translate, translator
from evaluate.request import ReportRequest

SECTIONS = (glance_section, accuracy_section, training_section, curve_section, speed_section,
            classes_section, gallery_section, data_section, reproduction_section)


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
    inputs = read_inputs(request.run, request.results, request.records)
    page = build_page(inputs, t, request.lang)
    write_text(request.markdown_copy, markdown_page(page))
    write_text(request.out, html_page(page))
    return summary(inputs.evaluations, t)


def build_page(inputs: Inputs, t: Translate, language: str) -> Page:
    built = [build(inputs, t) for build in SECTIONS]
    sections = [part for part in built if isinstance(part, Section)]
    reasons = [t("{title}: {reason}", title=part.title, reason=part.reason)
               for part in built if isinstance(part, Missing)]
    reasons += [t(note.sentence, **note.values) for note in inputs.notes]
    if reasons:
        sections.append(Section("left-out", t("Left out"), reasons))
    sources = [inputs.results] + ([inputs.run.folder] if inputs.run else [])
    return Page(LANGUAGES[language].html_code, t("Inception-v4 on ImageNet records"),
                t("Made from {sources}.", sources=t(" and ").join(map(str, sources))),
                t("Sections"), sections)
