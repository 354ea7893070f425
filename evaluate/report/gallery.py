"""The most confident mistakes, with their images from the records."""

import io
from typing import Optional, Sequence, Union

import numpy as np

from common.cli import CheckFailed
from convert.records.reader import RecordSet
from evaluate.predictions import Predictions
from evaluate.report.classes import Names, class_names
from evaluate.report.content import (Block, Gallery, Missing, Section, Table,
                                     Thumbnail)
from evaluate.report.inputs import Inputs
from evaluate.report.mistakes import confident_mistakes
from evaluate.report.texts import Translate
from evaluate.views import decode_rgb

SHOWN = 24
SIDE = 192  # pixels of a thumbnail's longer side
QUALITY = 85


def gallery_section(inputs: Inputs, say: Translate) -> Union[Section, Missing]:
    main = inputs.main
    if main is None or main.predictions is None:
        return Missing(say("gallery.title"), say("mistakes.missing"))
    chosen = confident_mistakes(main.predictions, SHOWN).tolist()
    if not chosen:
        return Missing(say("gallery.title"), say("gallery.none", name=main.name))
    names, records = class_names(inputs, main, say), inputs.records_of(main)
    blocks: list[Block] = [say("gallery.lead", name=main.name, count=len(chosen))]
    if records is None:
        blocks.append(say("gallery.no_images", name=main.name))
    else:
        blocks.append(Gallery(_thumbnails(main.predictions, chosen, records, names, say)))
    table = _table(main.predictions, chosen, names, say, folded=records is not None)
    return Section("gallery", say("gallery.title"), [*blocks, table])


def _thumbnails(predictions: Predictions, chosen: Sequence[int], records: RecordSet,
                names: Names, say: Translate) -> list[Thumbnail]:
    images = read_images(records, predictions.image_id[chosen].tolist())
    thumbnails = []
    for row in chosen:
        image_id = int(predictions.image_id[row])
        key = "gallery.listed" if predictions.blacklisted[row] else "gallery.id"
        title = say("gallery.said", name=names(int(predictions.top5[row, 0])),
                    share=100 * float(predictions.top5_prob[row, 0]))
        true = say("gallery.true", name=names(int(predictions.label[row])))
        thumbnails.append(Thumbnail(shrink(images[image_id]), title,
                                    [true, say(key, image_id=image_id)]))
    return thumbnails


def _table(predictions: Predictions, chosen: Sequence[int], names: Names, say: Translate,
           folded: bool) -> Table:
    rows = []
    for row in chosen:
        true = _probability_of_label(predictions, row)
        rows.append([f"{predictions.image_id[row]}", names(int(predictions.label[row])),
                     names(int(predictions.top5[row, 0])),
                     f"{100 * predictions.top5_prob[row, 0]:.1f}",
                     "–" if true is None else f"{100 * true:.1f}",
                     say("yes" if predictions.blacklisted[row] else "no")])
    heads = [say(key) for key in (
        "gallery.image_id", "pairs.true", "pairs.said", "gallery.probability",
        "gallery.true_probability", "gallery.blacklisted")]
    return Table(heads, rows, say("gallery.table") if folded else "", left=(1, 2, 5),
                 folded=folded)


def _probability_of_label(predictions: Predictions, row: int) -> Optional[float]:
    """None where the label is not among the five best, whose probabilities alone are known."""
    places = np.flatnonzero(predictions.top5[row] == predictions.label[row])
    return float(predictions.top5_prob[row, places[0]]) if len(places) else None


def read_images(records: RecordSet, image_ids: Sequence[int]) -> dict[int, bytes]:
    """The encoded images of these images.

    Raises:
        CheckFailed: one is not in the records, or they do not give back the rows asked for.
    """
    import mindspore.dataset as ds  # not above: a report without images needs no MindSpore
    wanted, position_of = set(image_ids), {}
    for position, row in enumerate(records.rows(["image_id"])):
        if int(row["image_id"]) in wanted:
            position_of[int(row["image_id"])] = position
    chosen = ds.SubsetSampler(sorted(position_of.values()))
    images = {int(row["image_id"]): row["image"].tobytes()
              for row in records.rows(["image_id", "image"], chosen)}
    if images.keys() != wanted:
        raise CheckFailed(f"{records.folder} does not hold image id "
                          f"{min(wanted ^ images.keys())} where its index says; see what is "
                          f"damaged with: python -m convert verify {records.folder}")
    return images


def shrink(encoded: bytes) -> bytes:
    """A small JPEG of an image of any format."""
    image = decode_rgb(encoded)
    image.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
