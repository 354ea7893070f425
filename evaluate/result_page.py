"""``result.md``: the figures of one evaluation for people, and what to know when reading them."""

from typing import Any, Container, Sequence

from evaluate.predictions import TOP
from evaluate.published import (FILTERED, FULL, IMAGE_SIZE, Published,
                                published_for)
from evaluate.scores import Score


def result_page(result: dict[str, Any], scores: dict[str, Score]) -> str:
    """The tables, what they are of, and what to know when reading them.

    Args:
        result: the content of ``result.json``.
    """
    lines = [f"# Accuracy, {result['crops']} crop{'s' * (result['crops'] > 1)} of "
             f"{result['image_size']} pixels", "", accuracy_table(scores), ""]
    lines += [f"{note}\n" for note in notes(result, scores)]
    lines += published_part(result, scores)
    if "curve" in result:
        lines += curve_part(result)
    return "\n".join(lines + facts(result)) + "\n"


def facts(result: dict[str, Any]) -> list[str]:
    """What was evaluated and how fast, a line each."""
    speed = result["speed"]
    return [
        f"- shorter sides in pixels: {', '.join(map(str, result['scales']))}",
        f"- checkpoint: `{result['checkpoint']}`, sha256 `{result['checkpoint_sha256']}`",
        f"- records: `{result['records']}` ({result['split']}, {result['classes']} classes), "
        f"sha256 of the shards `{result['records_sha256']}`",
        f"- speed: {speed['images_per_second_per_rank']:.3g} images/s on each of "
        f"{speed['ranks']} rank{'s' * (speed['ranks'] > 1)}, "
        f"{100 * speed['waiting_for_data']:.1f} % of the time waiting for data"]


def notes(result: dict[str, Any], scores: dict[str, Score]) -> list[str]:
    """Sentences that belong to the table."""
    said = ["Errors in percent with their 95 % confidence intervals (Wilson)."]
    if not result["has_blacklist"]:
        said.append("The records were converted without a blacklist and none was given "
                    "(--blacklist): only the full set is scored.")
    elif "filtered" not in scores:
        said.append("The blacklist marks none of these images: only the full set is scored.")
    if result["classes"] <= TOP:
        said.append(f"With {result['classes']} classes the five best are all of them, "
                    "so top-5 error is 0.")
    return said


def is_ilsvrc_set(result: dict[str, Any], name: str, images: int) -> bool:
    """Whether a set is ILSVRC2012's 50,000 validation images or the 48,238 of them that its
    blacklist leaves, by the digests of labels, classes and list."""
    if not result.get("is_ilsvrc"):  # results of old versions do not say
        return False
    return images == FULL if name == "full" else (
        images == FILTERED and result["blacklist_is_ilsvrc"])


def published_beside(result: dict[str, Any], name: str, images: int) -> list[Published]:
    """The published figures that may stand beside a result's set: of the same images and crops."""
    if result["image_size"] != IMAGE_SIZE or not is_ilsvrc_set(result, name, images):
        return []
    return published_for(images, result["crops"])


def published_part(result: dict[str, Any], scores: dict[str, Score]) -> list[str]:
    """Published figures beside ours, of the same set and crops only, or why there are none."""
    rows = []
    for name, scored in scores.items():
        found = published_beside(result, name, scored.images)
        if found:
            rows.append((name, f"{scored.images:,}", f"{scored.top1_error:.2f}",
                         f"{scored.top5_error:.2f}", "this result"))
        rows += [(name, f"{row.images:,}", f"{row.top1_error:g}", f"{row.top5_error:g}",
                  f"{row.source} ({row.where})") for row in found]
    if rows:
        head = (f"## Published figures of the same set and {result['crops']} crops of {IMAGE_SIZE} "
                "pixels")
        columns = ("set", "images", "top-1 error", "top-5 error", "source")
        return [head, "", markdown_table([columns, *rows]), ""]
    if result["is_ilsvrc"]:
        return [f"No figure was published for {result['crops']} crops of these sets.", ""]
    return ["Published figures are not shown: these are not the 50,000 ILSVRC2012 validation "
            "images of 1,000 classes.", ""]


def curve_part(result: dict[str, Any]) -> list[str]:
    """The errors as crops are added."""
    curve = result["curve"]
    names = [name for name in ("full", "filtered") if name in curve]
    heads = ["crops", "scales"] + [f"{name} {top}" for name in names for top in ("top-1", "top-5")]
    per_scale = result["crops"] / len(result["scales"])
    rows = [[f"{crops}", f"{crops / per_scale:.3g}",
             *(f"{curve[name][f'{top}_error'][point]:.2f}"
               for name in names for top in ("top1", "top5"))]
            for point, crops in enumerate(curve["crops"])]
    return ["## Error as crops are added", "", markdown_table([heads, *rows]), ""]


def accuracy_table(scores: dict[str, Score]) -> str:
    """Both sets as a Markdown table."""
    heads = ("set", "images", "top-1 error", "top-5 error", "top-1 correct", "top-5 correct")
    return markdown_table([heads] + [
        (name, f"{value.images:,}", _percent(value.top1_error, value.top1_ci95),
         _percent(value.top5_error, value.top5_ci95), f"{value.top1_correct:,}",
         f"{value.top5_correct:,}") for name, value in scores.items()])


def markdown_table(rows: Sequence[Sequence[str]], left: Container[int] = (0,)) -> str:
    """The rows, the first of them heads, with lined-up columns, all but ``left`` to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = [" | ".join(cell.ljust(width) if place in left else cell.rjust(width)
                        for place, (cell, width) in enumerate(zip(row, widths))) for row in rows]
    ruler = "|".join("-" * (width + 1) + ("-" if place in left else ":")
                     for place, width in enumerate(widths))
    return "\n".join(["| " + lines[0] + " |", "|" + ruler + "|",
                      *(f"| {line} |" for line in lines[1:])])


def _percent(error: float, interval: tuple[float, float]) -> str:
    return f"{error:.2f} ({interval[0]:.2f}-{interval[1]:.2f})"
