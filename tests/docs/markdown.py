"""What the tests of the documents read out of them: commands, code, tables and figures."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
CHINESE = ".zh-CN"  # before the ending of a page in Chinese
# A link's address is none of the figures, nor are the digits of a word such as uint8 or top-1.
ADDRESS = re.compile(r"\]\([^)]*\)")
NUMBER = re.compile(r"(?<![A-Za-z0-9_.,-])\d+(?:,\d{3})*(?:\.\d+)?")
SPAN = re.compile(r"`((?:[^`\n]|\n(?!\n))+)`")  # may go on in the next line of a paragraph


def command_lines(document: Path) -> list[str]:
    """Return the commands in the indented blocks of a document, lines that go on joined."""
    text = document.read_text("utf-8").replace("\\\n", " ")
    lines = (line.strip().removeprefix(".venv/bin/") for line in text.splitlines()
             if line.startswith("    "))
    return sorted({line for line in lines if line.startswith(("python -m ", "make "))})


def without_blocks(text: str) -> str:
    """Return a text with its indented blocks emptied."""
    return "\n".join("" if line.startswith("    ") else line for line in text.splitlines())


def spans_of(document: Path) -> list[str]:
    """Return what stands between backticks."""
    found = SPAN.findall(without_blocks(document.read_text("utf-8")))
    return [" ".join(span.split()) for span in found]


def tables(text: str) -> list[list[list[str]]]:
    """Return the cells of each row of each table, heads included."""
    found: list[list[list[str]]] = [[]]
    for line in [*text.splitlines(), ""]:
        if not line.startswith("|"):
            found += [[]] if found[-1] else []
        elif set(line) - set("|-: "):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
    return found[:-1]


def numbers(text: str) -> list[str]:
    """Return the figures of a text in their order."""
    return NUMBER.findall(ADDRESS.sub("]", text))
