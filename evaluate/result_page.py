"""``result.md``: the figures of one evaluation for people, and what to know when reading them."""

from typing import Container, Sequence

from evaluate.predictions import TOP
from evaluate.published import FILTERED, FULL, IMAGE_SIZE, Published, published_for
from evaluate.results import Result
from evaluate.scores import Curve, Score


def result_page(result: Result) -> str:
    """Return the page: tables, notes on reading them, and what was evaluated."""
    crops = f"{result.crops} crops" if result.crops > 1 else "1 crop"
    lines = [f"# Accuracy, {crops} of {result.image_size} pixels", "",
             accuracy_table(result.sets), "", *(f"{note}\n" for note in notes(result))]
    lines += published_part(result)
    if result.curve is not None:
        lines += _curve_part(result.curve, result.crops / len(result.scales))
    return "\n".join(lines + _facts(result)) + "\n"


def accuracy_table(scores: dict[str, Score]) -> str:
    """Return the scores of the sets as a Markdown table."""
    heads = ("set", "images", "top-1 error", "top-5 error", "top-1 correct", "top-5 correct")
    return markdown_table([heads] + [
        (name, f"{value.images:,}", _percent(value.top1_error, value.top1_ci95),
         _percent(value.top5_error, value.top5_ci95), f"{value.top1_correct:,}",
         f"{value.top5_correct:,}") for name, value in scores.items()])


def _percent(error: float, interval: tuple[float, float]) -> str:
    return f"{error:.2f} ({interval[0]:.2f}-{interval[1]:.2f})"


def notes(result: Result) -> list[str]:
    """Return the sentences that belong to the table."""
    sentences = ["Errors in percent with their 95 % confidence intervals (Wilson)."]
    if not result.has_blacklist:
        sentences.append("The records were converted without a blacklist and none was given "
                         "(--blacklist): only the full set is scored.")
    elif "filtered" not in result.sets:
        sentences.append("The blacklist marks none of these images: only the full set is scored.")
    if result.classes <= TOP:
        sentences.append(f"With {result.classes} classes the five best are all of them, "
                         "so the top-5 error is 0.")
    return sentences


def published_next_to(result: Result, name: str) -> list[Published]:
    """Return the published figures of the same images and crops as the set ``name``.

    The images are the same if the digests of labels, classes and blacklist are ILSVRC2012's.
    """
    images = result.sets[name].images
    same = result.is_ilsvrc and (images == FULL if name == "full" else
                                 images == FILTERED and result.blacklist_is_ilsvrc)
    return published_for(images, result.crops) if same and result.image_size == IMAGE_SIZE else []


def published_part(result: Result) -> list[str]:
    """Return a table of published figures next to ours, or a sentence why there are none."""
    rows = []
    for name, scored in result.sets.items():
        found = published_next_to(result, name)
        if found:
            rows.append((name, f"{scored.images:,}", f"{scored.top1_error:.2f}",
                         f"{scored.top5_error:.2f}", "this result"))
        rows += [(name, f"{row.images:,}", f"{row.top1_error:g}", f"{row.top5_error:g}",
                  f"{row.source} ({row.where})") for row in found]
    if rows:
        columns = ("set", "images", "top-1 error", "top-5 error", "source")
        return [f"## Published figures of the same set and {result.crops} crops of {IMAGE_SIZE} "
                "pixels", "", markdown_table([columns, *rows]), ""]
    if result.is_ilsvrc:
        return [f"No figure was published for {result.crops} crops of these sets.", ""]
    return ["Published figures are not shown: these are not the 50,000 ILSVRC2012 validation "
            "images of 1,000 classes.", ""]


def _curve_part(curve: Curve, crops_per_scale: float) -> list[str]:
    sets = {"full": curve.full}
    if curve.filtered is not None:
        sets["filtered"] = curve.filtered
    heads = ["crops", "scales", *(f"{name} {top}" for name in sets for top in ("top-1", "top-5"))]
    columns = [errors for of_set in sets.values()
               for errors in (of_set.top1_error, of_set.top5_error)]
    rows = [[f"{crops}", f"{crops / crops_per_scale:.3g}", *(f"{error:.2f}" for error in errors)]
            for crops, *errors in zip(curve.crops, *columns)]
    return ["## Error as crops are added", "", markdown_table([heads, *rows]), ""]


def _facts(result: Result) -> list[str]:
    """Return what was evaluated and how fast, one line each."""
    lines = [
        f"- shorter sides in pixels: {', '.join(map(str, result.scales))}",
        f"- checkpoint: `{result.checkpoint}`, sha256 `{result.checkpoint_sha256}`",
        f"- records: `{result.records}` ({result.split}, {result.classes} classes), "
        f"sha256 of the shards `{result.records_sha256}`"]
    if result.speed is not None:
        ranks = f"{result.speed.ranks} ranks" if result.speed.ranks > 1 else "1 rank"
        lines.append(f"- speed: {result.speed.images_per_second_per_rank:.3g} images/s on each of "
                     f"{ranks}, {100 * result.speed.waiting_for_data:.1f} % of the time waiting "
                     "for data")
    return lines


def markdown_table(rows: Sequence[Sequence[str]], left: Container[int] = (0,)) -> str:
    """Return the rows, the first of them headings, as Markdown with aligned columns.

    Args:
        left: numbers of the columns that are aligned to the left; all others are to the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = [" | ".join(cell.ljust(width) if place in left else cell.rjust(width)
                        for place, (cell, width) in enumerate(zip(row, widths))) for row in rows]
    ruler = "|".join("-" * (width + 1) + ("-" if place in left else ":")
                     for place, width in enumerate(widths))
    return "\n".join(["| " + lines[0] + " |", "|" + ruler + "|",
                      *(f"| {line} |" for line in lines[1:])])
