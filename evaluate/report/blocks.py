"""What the report consists of: each block writes itself as HTML and as Markdown.

Markdown leaves images out: what the charts show is in tables, too.
"""

import base64
from dataclasses import dataclass
from html import escape
from pathlib import PurePath
from typing import NamedTuple, Optional, Sequence, Union
from urllib.parse import quote

from evaluate.result_page import markdown_table

LONG = 11  # rows; a table with more is folded


@dataclass(frozen=True)
class Table:
    """Rows of text under heads; what follows a line feed in a cell is shown small.

    Attributes:
        left: columns of words; the others hold numbers and are aligned to the right.
        code: columns of digests and paths.
        set_apart: rows that are not results of ours.
        folded: opened by a click, as every long table with a caption is.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    left: tuple[int, ...] = (0,)
    code: tuple[int, ...] = ()
    set_apart: frozenset[int] = frozenset()
    folded: bool = False

    @property
    def is_folded(self) -> bool:
        return self.folded or bool(self.caption) and len(self.rows) > LONG

    def html(self) -> str:
        """Return the table in a box of its own, which scrolls where the page is narrow."""
        rows = "\n".join(
            ('<tr class="apart">' if place in self.set_apart else "<tr>")
            + f"{self._cells('td', row)}</tr>" for place, row in enumerate(self.rows))
        box = ('<div class="scroll" tabindex="0"><table>\n'
               f"<thead><tr>{self._cells('th', self.heads)}</tr></thead>\n"
               f"<tbody>\n{rows}\n</tbody></table></div>")
        caption = escape(self.caption)
        if self.is_folded:
            return (f"<details><summary>{caption} <small>{len(self.rows):,}</small></summary>"
                    f"{box}</details>")
        return f"<h3>{caption}</h3>{box}" if caption else box

    def _cells(self, tag: str, texts: Sequence[str]) -> str:
        cells = []
        for column, text in enumerate(texts):
            kind = "code" if column in self.code else "left" if column in self.left else ""
            shown = escape(text).replace(", %", ",&#160;%")  # a unit stays with its name
            first, line_feed, rest = shown.partition("\n")
            shown = f"{first} <small>{rest}</small>" if line_feed else shown
            cells.append(f'<{tag} class="{kind}">{shown}</{tag}>' if kind else
                         f"<{tag}>{shown}</{tag}>")
        return "".join(cells)

    def markdown(self) -> str:
        rows = [[_code(text) if column in self.code else
                 escape_markdown(text.replace("\n", " ")) for column, text in enumerate(row)]
                for row in self.rows]
        text = markdown_table([[*map(escape_markdown, self.heads)], *rows], self.left)
        caption = escape_markdown(self.caption)
        if self.is_folded:
            return f"<details><summary>{caption}</summary>\n\n{text}\n\n</details>"
        return f"### {caption}\n\n{text}" if caption else text


def _code(text: str) -> str:
    return escape_markdown(text) if not text or "`" in text or "|" in text else f"`{text}`"


def escape_markdown(text: str) -> str:
    """Return text in which nothing is mark-up or ends a cell."""
    for sign in "\\`*_<|":
        text = text.replace(sign, "\\" + sign)
    return text


class Figure(NamedTuple):
    """A chart."""

    svg: str
    caption: str

    def html(self) -> str:
        caption = escape(self.caption)
        svg = self.svg.replace("<svg", f'<svg role="img" aria-label="{caption}"', 1)
        return f"<figure><figcaption>{caption}</figcaption>{svg}</figure>"


class Thumbnail(NamedTuple):
    """An image and what is written below it."""

    jpeg: bytes
    title: str
    lines: Sequence[str]

    def html(self) -> str:
        title, data = escape(self.title), base64.b64encode(self.jpeg).decode("ascii")
        lines = "".join(f"<span>{escape(line)}</span>" for line in self.lines)
        return (f'<figure><img alt="{title}" src="data:image/jpeg;base64,{data}"/>'
                f"<figcaption><b>{title}</b>{lines}</figcaption></figure>")


@dataclass(frozen=True)
class Figures:
    """Charts or images, side by side where there is room."""

    figures: Sequence[Union[Figure, Thumbnail]]
    style: str = "figures"  # or "gallery": the class in the style sheet

    def html(self) -> str:
        return f'<div class="{self.style}">{"".join(item.html() for item in self.figures)}</div>'

    def markdown(self) -> str:
        return ""


class Fact(NamedTuple):
    label: str
    value: str
    detail: str = ""


@dataclass(frozen=True)
class Facts:
    """A few figures to see first."""

    facts: Sequence[Fact]
    style: str = "facts"  # or "origin": the class in the style sheet

    def html(self) -> str:
        cards = "".join(f"<div><dt>{escape(label)}</dt><dd>{escape(value)}"
                        + (f"<small>{escape(detail)}</small>" if detail else "") + "</dd></div>"
                        for label, value, detail in self.facts)
        return f'<dl class="{self.style}">{cards}</dl>'

    def markdown(self) -> str:
        lines = []
        for fact in self.facts:
            label, value, detail = map(escape_markdown, fact)
            lines.append(f"- {label}: **{value}**" + (f" – {detail}" if detail else ""))
        return "\n".join(lines)


@dataclass(frozen=True)
class Links:
    """Files next to the page, after what they are of.

    Attributes:
        rows: what the files are of, and the files' paths seen from the page.
    """

    lead: str
    rows: Sequence[tuple[str, Sequence[str]]]

    def html(self) -> str:
        rows = "".join(f"<li>{escape(name)}: " + ", ".join(
            f'<a href="{quote(path)}">{escape(PurePath(path).name)}</a>' for path in paths)
            + "</li>" for name, paths in self.rows)
        return f'<p>{escape(self.lead)}</p>\n<ul class="files">{rows}</ul>'

    def markdown(self) -> str:
        rows = [f"- {escape_markdown(name)}: " + ", ".join(
            f"[{escape_markdown(PurePath(path).name)}]({quote(path)})" for path in paths)
            for name, paths in self.rows]
        return "\n".join([escape_markdown(self.lead), "", *rows])


@dataclass(frozen=True)
class Commands:
    """Lines for a shell."""

    text: str

    def html(self) -> str:
        return f"<pre>{escape(self.text)}</pre>"

    def markdown(self) -> str:
        return f"```sh\n{self.text}\n```"


Block = Union[str, Table, Figures, Facts, Links, Commands]  # str: a paragraph


@dataclass(frozen=True)
class Section:
    name: str  # its anchor
    title: str
    blocks: Sequence[Block]

    def html(self) -> str:
        blocks = "\n".join(f"<p>{escape(block)}</p>" if isinstance(block, str) else block.html()
                           for block in self.blocks)
        return f'<section id="{self.name}">\n<h2>{escape(self.title)}</h2>\n{blocks}\n</section>'

    def markdown(self) -> str:
        blocks = [escape_markdown(block) if isinstance(block, str) else block.markdown()
                  for block in self.blocks]
        return "\n\n".join([f"## {escape_markdown(self.title)}", *filter(None, blocks)])


class LeftOut(Exception):
    """Why a section cannot be made; without a message, nobody misses it."""


def number(value: Optional[float], scale: float = 1) -> str:
    """Return ``scale * value`` with three significant digits, or all digits before the point."""
    if value is None:
        return "–"
    return f"{scale * value:,.0f}" if abs(scale * value) >= 100 else f"{scale * value:.3g}"
