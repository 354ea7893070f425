"""The sections as Markdown. Images are left out: charts show what stands in the tables."""

from typing import Any, Callable

from evaluate.report.content import Commands, Facts, Figures, Gallery, Page, Section, Table
from evaluate.result_page import markdown_table


def markdown_page(page: Page) -> str:
    parts = [f"# {page.title}", _escape(page.lead), *map(_section, page.sections)]
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> str:
    blocks = [_RENDER[type(block)](block) for block in section.blocks]
    return "\n\n".join([f"## {_escape(section.title)}", *filter(None, blocks)])


def _escape(text: str) -> str:
    """Text that would be mark-up or end a cell stays text."""
    for sign in "\\`*_<|":
        text = text.replace(sign, "\\" + sign)
    return text


def _table(table: Table) -> str:
    rows = [list(map(_escape, table.heads)), *([_cell(text, place in table.code)
            for place, text in enumerate(row)] for row in table.rows)]
    text = markdown_table(rows, table.left)
    if table.folded:
        return f"<details><summary>{_escape(table.caption)}</summary>\n\n{text}\n\n</details>"
    return f"### {_escape(table.caption)}\n\n{text}" if table.caption else text


def _cell(text: str, is_code: bool) -> str:
    return f"`{text}`" if is_code and text and "`" not in text and "|" not in text \
        else _escape(text)


def _no_images(block: Any) -> str:
    return ""


def _facts(facts: Facts) -> str:
    return "\n".join(f"- {_escape(fact.label)}: **{_escape(fact.value)}**"
                     + (f" ({_escape(fact.detail)})" if fact.detail else "")
                     for fact in facts.facts)


def _commands(commands: Commands) -> str:
    return f"```sh\n{commands.text}\n```"


_RENDER: dict[type, Callable[[Any], str]] = {
    str: _escape, Table: _table, Figures: _no_images, Gallery: _no_images, Facts: _facts,
    Commands: _commands}
