"""``result.md``: the figures of one evaluation for people, what to know when reading them, and
published figures of Inception-v4 next to results of the same images and number of crops."""

from typing import Container, Mapping, NamedTuple, Sequence

from blacklist.ids import ILSVRC_COUNT, ILSVRC_VALIDATION_IMAGES
from common.text import counted
from evaluate.protocols import CENTRE_FRACTION, KEEP, SQUASH
from evaluate.results import Curve, Result, Score, tops_of
from inceptionv4 import IMAGE_SIZE

FULL = ILSVRC_VALIDATION_IMAGES
FILTERED = FULL - ILSVRC_COUNT
TOP_NAMES = {"top1": "top-1", "top5": "top-5"}


class Published(NamedTuple):
    """Errors in percent, of crops of IMAGE_SIZE."""

    source: str
    where: str
    images: int
    crops: int
    top1_error: float
    top5_error: float


# The MindSpore model zoo's 20.2 and 5.4 are missing: it drops the last batch and scores 49,920
# images, so nothing here compares with it.
PAPER = "Inception-v4 paper, arXiv 1602.07261"
ADSL_REPORT = "original report, ADSL"
PUBLISHED = (
    Published(PAPER, "table 2: without the blacklisted images", FILTERED, 1, 20.0, 5.0),
    Published(PAPER, "table 3", FULL, 12, 18.7, 4.2),
    Published(PAPER, "table 4", FULL, 144, 17.7, 3.8),
    Published(ADSL_REPORT, "all validation images", FULL, 144, 17.22, 3.79),
    Published(ADSL_REPORT, "without the blacklisted images", FILTERED, 144, 16.59, 3.45),
    Published("mindcv", "inception_v4 recipe", FULL, 1, 19.0, 4.8),
)

# On the paper's single crop; the code is TensorFlow models, slim, inception_preprocessing.py.
SINGLE_CROP_NOTE = {
    KEEP: "The code of the paper's authors takes 87.5 % of both sides and resizes that to a "
          "square; here the aspect ratio is kept. --single-crop squash does as they do.",
    SQUASH: "The crop is taken as in the code of the paper's authors: 87.5 % of both sides, "
            "resized to a square."}


def result_page(result: Result) -> str:
    """Return the page: tables, notes on reading them, and what was evaluated."""
    crops = counted(result.crops, "crop")
    lines = [f"# Accuracy, {crops} of {result.image_size} pixels", "",
             accuracy_table(result.sets, result.classes), "",
             *(f"{note}\n" for note in notes(result))]
    lines += published_part(result)
    if result.curve is not None:
        lines += _curve_part(result.curve, result.crops / len(result.scales), result.classes)
    return "\n".join(lines + _facts(result)) + "\n"


def accuracy_table(scores: Mapping[str, Score], classes: int) -> str:
    """Return a row per set.

    Args:
        classes: among which the network chose.
    """
    tops = tops_of(classes)
    rows = [["set", "images", *(f"{TOP_NAMES[top]} error" for top in tops),
             *(f"{TOP_NAMES[top]} correct" for top in tops)]]
    for name, found in scores.items():
        errors = (f"{getattr(found, f'{top}_error'):.2f} ({low:.2f}-{high:.2f})"
                  for top in tops for low, high in [getattr(found, f"{top}_ci95")])
        rows.append([name, f"{found.images:,}", *errors,
                     *(f"{getattr(found, f'{top}_correct'):,}" for top in tops)])
    return markdown_table(rows)


def notes(result: Result) -> list[str]:
    """Return the sentences that belong to the table."""
    sentences = ["Errors in percent with their 95 % confidence intervals (Wilson)."]
    if result.may_be_filtered and not result.has_blacklist:
        sentences.append("The records were converted without a blacklist and none was given "
                         "(--blacklist): only the full set is scored.")
    elif result.has_blacklist and "filtered" not in result.sets:
        sentences.append("The blacklist marks none of these images: only the full set is scored.")
    if "top5" not in tops_of(result.classes):
        sentences.append(f"With {counted(result.classes, 'class')} the five best are all of them: "
                         "there is no top-5 error.")
    return sentences


def published_next_to(result: Result, name: str) -> list[Published]:
    """Return the published figures of the same images and crops as the set ``name``.

    The images are the same if the digests of labels, classes and blacklist are ILSVRC2012's.
    """
    images = FULL if name == "full" else FILTERED
    same_images = result.is_ilsvrc and result.sets[name].images == images
    same_list = result.blacklist_is_ilsvrc or name == "full"
    if not (same_images and same_list and result.image_size == IMAGE_SIZE):
        return []
    return [row for row in PUBLISHED if (row.images, row.crops) == (images, result.crops)]


def papers_single_crop_shown(result: Result) -> bool:
    """Return whether the paper's figure for one crop stands next to the result."""
    return any((row.source, row.crops) == (PAPER, 1)
               for name in result.sets for row in published_next_to(result, name))


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
        return ["## Published figures of the same set and "
                f"{counted(result.crops, 'crop')} of {IMAGE_SIZE} pixels", "",
                markdown_table([columns, *rows]), "",
                *([SINGLE_CROP_NOTE[result.single_crop], ""] if papers_single_crop_shown(result)
                  else [])]
    if result.is_ilsvrc:
        return [f"No figure was published for {counted(result.crops, 'crop')} of these sets.", ""]
    if not result.may_be_filtered:
        return []
    return ["Published figures are not shown: these are not the 50,000 ILSVRC2012 validation "
            "images of 1,000 classes.", ""]


def _curve_part(curve: Curve, crops_per_scale: float, classes: int) -> list[str]:
    tops = tops_of(classes)
    heads = ["crops", "scales", *(f"{name} {TOP_NAMES[top]}" for name in curve.sets
                                  for top in tops)]
    columns = [getattr(of_set, f"{top}_error") for of_set in curve.sets.values() for top in tops]
    rows = [[f"{crops}", f"{crops / crops_per_scale:.3g}", *(f"{error:.2f}" for error in errors)]
            for crops, *errors in zip(curve.crops, *columns)]
    return ["## Error as crops are added", "", markdown_table([heads, *rows]), ""]


def _facts(result: Result) -> list[str]:
    """Return what was evaluated and how fast, one line each."""
    lines = [
        f"- {_describe_crops(result)}, {result.interpolation}",
        f"- checkpoint: `{result.checkpoint}`, sha256 `{result.checkpoint_sha256}`"
        + (", averaged weights" if result.weights == "ema" else ""),
        f"- records: `{result.records}` ({result.split}, {counted(result.classes, 'class')}), "
        f"sha256 of the shards `{result.records_sha256}`"]
    if result.arithmetic:
        lines.append(f"- arithmetic on {result.device}: {result.arithmetic}")
    if result.speed:
        lines.append(f"- speed: {result.speed.images_per_second_per_rank:.3g} images/s per rank on "
                     f"{counted(result.speed.ranks, 'rank')}, "
                     f"{100 * result.speed.waiting_for_data:.1f} % of the time waiting "
                     "for data")
    return lines


def _describe_crops(result: Result) -> str:
    if result.single_crop == SQUASH:
        return f"crop: the central {CENTRE_FRACTION:.1%} of both sides, resized to a square"
    return f"shorter sides in pixels: {', '.join(map(str, result.scales))}"


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
