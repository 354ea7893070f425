"""The sections as one HTML file that needs no network, no script and no other file."""

import base64
import html
from typing import Any, Callable

from evaluate.report.content import (Commands, Facts, Figure, Figures, Gallery, Page, Section,
                                     Table, Thumbnail)
from evaluate.report.style import STYLE


def html_page(page: Page) -> str:
    links = "".join(f'<li><a href="#{section.name}">{html.escape(section.title)}</a></li>'
                    for section in page.sections)
    body = [f"<header><h1>{html.escape(page.title)}</h1>", f"<p>{html.escape(page.lead)}</p>",
            f'<nav aria-label="{html.escape(page.contents)}"><ul>{links}</ul></nav></header>',
            "<main>", *map(_section, page.sections), "</main>"]
    return (f'<!doctype html>\n<html lang="{page.language}">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            # An empty icon: a browser would ask a server for one.
            '<link rel="icon" href="data:,">\n'
            f"<title>{html.escape(page.title)}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
            + "\n".join(body) + "\n</body>\n</html>\n")


def _section(section: Section) -> str:
    blocks = "\n".join(_RENDER[type(block)](block) for block in section.blocks)
    return (f'<section id="{section.name}">\n<h2>{html.escape(section.title)}</h2>\n{blocks}\n'
            "</section>")


def _paragraph(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"


def _table(table: Table) -> str:
    """In a box of its own, which scrolls where the page is narrow."""
    rows = [f"<tr>{_cells('th', table.heads, table)}</tr>"]
    rows += [f"<tr{' class=apart' * (place in table.set_apart)}>{_cells('td', row, table)}</tr>"
             for place, row in enumerate(table.rows)]
    caption = html.escape(table.caption)
    box = ('<div class="scroll" tabindex="0"><table>\n'
           f"<thead>{rows[0]}</thead>\n<tbody>\n" + "\n".join(rows[1:])
           + "\n</tbody></table></div>")
    if table.folded:
        return f"<details><summary>{caption}</summary>{box}</details>"
    return f"<h3>{caption}</h3>{box}" if caption else box


def _cells(tag: str, texts: Any, table: Table) -> str:
    cells = []
    for place, text in enumerate(texts):
        kind = "code" if place in table.code else "left" if place in table.left else ""
        shown = html.escape(text).replace(", %", ",&nbsp;%")  # a unit stays with its name
        cells.append(f"<{tag}{f' class={kind}' * bool(kind)}>{shown}</{tag}>")
    return "".join(cells)


def _figures(block: Figures) -> str:
    return f'<div class="figures">{"".join(map(_figure, block.figures))}</div>'


def _figure(figure: Figure) -> str:
    caption = html.escape(figure.caption)
    svg = figure.svg.replace("<svg", f'<svg role="img" aria-label="{caption}"', 1)
    return f"<figure><figcaption>{caption}</figcaption>{svg}</figure>"


def _gallery(gallery: Gallery) -> str:
    return f'<div class="gallery">{"".join(map(_thumbnail, gallery.thumbnails))}</div>'


def _thumbnail(image: Thumbnail) -> str:
    data = base64.b64encode(image.jpeg).decode("ascii")
    lines = "".join(f"<span>{html.escape(line)}</span>" for line in image.lines)
    return (f'<figure><img alt="{html.escape(image.title)}" src="data:image/jpeg;base64,{data}">'
            f"<figcaption><b>{html.escape(image.title)}</b>{lines}</figcaption></figure>")


def _facts(facts: Facts) -> str:
    cards = "".join(f"<div><dt>{html.escape(fact.label)}</dt><dd>{html.escape(fact.value)}"
                    f"<small>{html.escape(fact.detail)}</small></dd></div>"
                    for fact in facts.facts)
    return f'<dl class="facts">{cards}</dl>'


def _commands(commands: Commands) -> str:
    return f"<pre>{html.escape(commands.text)}</pre>"


_RENDER: dict[type, Callable[[Any], str]] = {
    str: _paragraph, Table: _table, Figures: _figures, Gallery: _gallery, Facts: _facts,
    Commands: _commands}
