"""The figures of the README are those of docs/benchmarks.md."""

from tests.docs.markdown import ROOT, numbers, tables


def are_among(some: list[str], all_of_them: list[str]) -> bool:
    """Return whether the first list is the second one with some left out."""
    rest = iter(all_of_them)
    return all(number in rest for number in some)


def rows_of(table: list[list[str]]) -> dict[str, list[str]]:
    """Return the numbers of the rows by their first cells."""
    return {cells[0].strip("*"): numbers(" | ".join(cells[1:])) for cells in table[1:]}


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
