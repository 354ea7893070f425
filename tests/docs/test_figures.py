"""Figures that stand in two documents are the same."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# A link's address is none of the figures, nor are the digits of a word such as uint8 or top-1.
ADDRESS = re.compile(r"\]\([^)]*\)")
NUMBER = re.compile(r"(?<![A-Za-z0-9_.,-])\d+(?:,\d{3})*(?:\.\d+)?")


def tables(text: str) -> list[list[list[str]]]:
    """Return the cells of each row of each table, heads included."""
    found: list[list[list[str]]] = [[]]
    for line in [*text.splitlines(), ""]:
        if not line.startswith("|"):
            found += [[]] if found[-1] else []
        elif set(line) - set("|-: "):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
    return found[:-1]


def numbers(cells: list[str]) -> list[str]:
    return NUMBER.findall(ADDRESS.sub("]", " | ".join(cells)))


def are_among(some: list[str], all_of_them: list[str]) -> bool:
    """Return whether the first list is the second one with some left out."""
    rest = iter(all_of_them)
    return all(number in rest for number in some)


def rows_of(table: list[list[str]]) -> dict[str, list[str]]:
    """Return the numbers of the rows by their first cells."""
    return {cells[0].strip("*"): numbers(cells[1:]) for cells in table[1:]}


def differing(shown: dict[str, list[str]], measured: dict[str, list[str]]) -> list[str]:
    """Return the first cells of the rows of both whose numbers differ."""
    return [name for name in shown.keys() & measured.keys()
            if not are_among(shown[name], measured[name])]


def test_results_of_the_readme_are_those_of_the_benchmarks():
    """The README may leave columns out; where several tables have such rows, one has its figures.
    """
    results = (ROOT / "README.md").read_text("utf-8").split("\n## Results\n")[1].split("\n## ")[0]
    benchmarks = [*map(rows_of, tables((ROOT / "docs" / "benchmarks.md").read_text("utf-8")))]
    compared = 0
    for shown in map(rows_of, tables(results)):
        with_such_rows = [each for each in benchmarks if shown.keys() & each.keys()]
        compared += len(with_such_rows)
        found = [differing(shown, each) for each in with_such_rows]
        assert not found or [] in found, min(found, key=len)
    assert compared, "no row of the README is one of docs/benchmarks.md"


def test_both_readmes_have_the_same_figures():
    """In each row, in whatever order the language has them."""
    english, chinese = ([row for table in tables((ROOT / name).read_text("utf-8"))
                         for row in table] for name in ("README.md", "README.zh-CN.md"))
    assert len(english) == len(chinese)
    assert [(one[0], other[0], numbers(one), numbers(other)) for one, other in zip(english, chinese)
            if sorted(numbers(one)) != sorted(numbers(other))] == []
