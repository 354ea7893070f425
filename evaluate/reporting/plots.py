"""The course of a training as a picture, for the report page."""

import io
from typing import Any, Sequence

from common import RequestError

# One picture for each: title, and the fields of the history that it shows.
PANELS = (
    ("training loss", ("loss",)),
    ("single-crop error, %", ("full_top1_error", "filtered_top1_error", "full_top5_error",
                              "filtered_top5_error")),
    ("learning rate", ("learning_rate",)),
)
PANEL_SIZE = (4.2, 3.0)  # inches


def training_curves(epochs: Sequence[dict[str, Any]]) -> str:
    """The history's figures over the epochs as one ``<svg>`` element; the same for the same input.

    Raises:
        RequestError: Matplotlib, the ``report`` extra, is not installed.
    """
    try:
        import matplotlib
    except ModuleNotFoundError:
        raise RequestError("Matplotlib, which draws the report's curves, is not installed: "
                           "pip install '.[report]' (make report does)") from None
    from matplotlib.figure import Figure
    figure = Figure((len(PANELS) * PANEL_SIZE[0], PANEL_SIZE[1]), layout="constrained")
    for axes, (title, names) in zip(figure.subplots(1, len(PANELS)), PANELS):
        _draw(axes, title, names, epochs)
    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "report"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    page = text.getvalue()
    return page[page.index("<svg"):]  # without the XML declaration, which HTML has no place for


def _draw(axes: Any, title: str, names: Sequence[str], epochs: Sequence[dict[str, Any]]) -> None:
    there = [name for name in names if name in epochs[0]]
    for name in there:
        axes.plot([epoch["epoch"] for epoch in epochs], [epoch.get(name) for epoch in epochs],
                  marker="." if len(epochs) < 20 else None,
                  label=name.removesuffix("_error").replace("_", " "))
    axes.set(title=title, xlabel="epoch")
    axes.grid(alpha=0.3)
    if len(there) > 1:
        axes.legend(fontsize="small")
