"""One self-contained HTML page from the files of a run and of its evaluations."""

import html
import json
from pathlib import Path
from typing import Any, Optional, Sequence

from common import RequestError, write_text
from evaluate.curves import training_curves
from evaluate.page import markdown_table
from evaluate.results import JSON_NAME, read_result

HISTORY = "history.jsonl"

_STYLE = """svg { width: 100%; height: auto }
body { font: 16px/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse } th, td { padding: .2rem .8rem; text-align: right }
th { border-bottom: 1px solid } th:first-child, td:first-child { text-align: left }"""


def write_report(run: Optional[Path], results: Path, out: Path) -> str:
    """Write the page; a part whose files are missing says so.

    Args:
        run: run folder, for the training history.
        results: folder whose subfolders are results of evaluations.

    Returns:
        The accuracy of all results as one Markdown table, empty when there is none.

    Raises:
        RequestError: neither a history nor a result is there, or a file is damaged.
    """
    found = [read_result(path) for path in sorted(results.glob(f"*/{JSON_NAME}"))]
    epochs = _read_history(run / HISTORY) if run and (run / HISTORY).exists() else []
    if not found and not epochs:
        raise RequestError(f"neither {results}/*/{JSON_NAME} nor {run}/{HISTORY} exists; train or "
                           "evaluate first")
    accuracy = _accuracy(found)
    parts = ["<h1>Inception-v4 on ImageNet records</h1>", "<h2>Accuracy</h2>",
             _table(accuracy) if found else f"<p>No result in {html.escape(str(results))}.</p>",
             "<h2>Training</h2>", *_training(epochs)]
    write_text(out, f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
                    f"<title>Accuracy report</title><style>{_STYLE}</style></head><body>\n"
                    + "\n".join(parts) + "\n</body></html>\n")
    return markdown_table(accuracy) if found else ""


def _read_history(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        raise RequestError(f"{path} is damaged ({error}); remove its last line") from None


def _accuracy(results: Sequence[dict[str, Any]]) -> list[Sequence[str]]:
    """Heads, then a row for each result and set."""
    heads = ("crops", "set", "images", "top-1 error, % (95 %)", "top-5 error, % (95 %)",
             "checkpoint sha256")
    return [heads] + [
        (f"{result['crops']} × {result['image_size']} px", name, f"{scored['images']:,}",
         _interval(scored, "top1"), _interval(scored, "top5"), result["checkpoint_sha256"][:12])
        for result in sorted(results, key=lambda result: result["crops"])
        for name, scored in result["sets"].items()]


def _interval(scored: dict[str, Any], top: str) -> str:
    low, high = scored[f"{top}_ci95"]
    return f"{scored[f'{top}_error']:.2f} ({low:.2f}–{high:.2f})"


def _training(epochs: Sequence[dict[str, Any]]) -> list[str]:
    if not epochs:
        return ["<p>No history of a run was given.</p>"]
    fields = {"epoch": "d", "step": "d", "loss": ".3f", "learning_rate": ".3g",
              "ms_per_step": ".0f", "images_per_second": ".1f", "full_top1_error": ".2f",
              "full_top5_error": ".2f", "filtered_top1_error": ".2f", "filtered_top5_error": ".2f"}
    rows = [[format(epoch[name], form) if name in epoch else "–"
             for name, form in fields.items()] for epoch in epochs]
    return [training_curves(epochs), _table([[name.replace("_", " ") for name in fields], *rows])]


def _table(rows: Sequence[Sequence[str]]) -> str:
    """The rows, the first of them heads, as an HTML table."""
    lines = [_cells("th", rows[0]), *(_cells("td", row) for row in rows[1:])]
    return "<table>\n" + "\n".join(f"<tr>{line}</tr>" for line in lines) + "\n</table>"


def _cells(tag: str, texts: Sequence[str]) -> str:
    return "".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in texts)
