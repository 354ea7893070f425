"""The most confident mistakes, with their pictures from the records."""

import io
from typing import Optional, Sequence, Union

import numpy as np

from common import CheckFailed
from convert.records import RecordSet
from evaluate.pictures import decode_rgb
from evaluate.predictions import Predictions
from evaluate.reporting.classes import Names, class_names
from evaluate.reporting.content import Block, Gallery, Missing, Section, Table, Thumbnail
from evaluate.reporting.inputs import Inputs
from evaluate.reporting.mistakes import confident_mistakes
from evaluate.reporting.texts import Say

SHOWN = 24
SIDE = 192  # pixels of a thumbnail's longer side
QUALITY = 85


def gallery_section(inputs: Inputs, say: Say) -> Union[Section, Missing]:
    main = inputs.main
    if main is None or main.predictions is None:
        return Missing(say("gallery.title"), say("mistakes.missing"))
    chosen = confident_mistakes(main.predictions, SHOWN).tolist()
    if not chosen:
        return Missing(say("gallery.title"), say("gallery.none", name=main.name))
    names, records = class_names(inputs, main, say), inputs.records_of(main)
    blocks: list[Block] = [say("gallery.lead", name=main.name, count=len(chosen))]
    if records is None:
        blocks.append(say("gallery.no_pictures", name=main.name))
    else:
        blocks.append(Gallery(_thumbnails(main.predictions, chosen, records, names, say)))
    table = _table(main.predictions, chosen, names, say, folded=records is not None)
    return Section("gallery", say("gallery.title"), [*blocks, table])


def _thumbnails(predictions: Predictions, chosen: Sequence[int], records: RecordSet,
                names: Names, say: Say) -> list[Thumbnail]:
    pictures = read_pictures(records, predictions.image_id[chosen].tolist())
    thumbnails = []
    for row in chosen:
        image_id = int(predictions.image_id[row])
        key = "gallery.listed" if predictions.blacklisted[row] else "gallery.id"
        title = say("gallery.said", name=names(int(predictions.top5[row, 0])),
                    share=100 * float(predictions.top5_prob[row, 0]))
        true = say("gallery.true", name=names(int(predictions.label[row])))
        thumbnails.append(Thumbnail(shrink(pictures[image_id]), title,
                                    [true, say(key, image_id=image_id)]))
    return thumbnails


def _table(predictions: Predictions, chosen: Sequence[int], names: Names, say: Say,
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


def read_pictures(records: RecordSet, image_ids: Sequence[int]) -> dict[int, bytes]:
    """The encoded pictures of these images.

    Raises:
        CheckFailed: one is not in the records, or they do not give back the rows asked for.
    """
    import mindspore.dataset as ds  # not above: a report without pictures needs no MindSpore
    wanted, position_of = set(image_ids), {}
    for position, row in enumerate(records.rows(["image_id"])):
        if int(row["image_id"]) in wanted:
            position_of[int(row["image_id"])] = position
    chosen = ds.SubsetSampler(sorted(position_of.values()))
    pictures = {int(row["image_id"]): row["image"].tobytes()
                for row in records.rows(["image_id", "image"], chosen)}
    if pictures.keys() != wanted:
        raise CheckFailed(f"{records.folder} does not hold image id "
                          f"{min(wanted ^ pictures.keys())} where its index says; see what is "
                          f"damaged with: python -m convert verify {records.folder}")
    return pictures


def shrink(encoded: bytes) -> bytes:
    """A small JPEG of a picture of any format."""
    picture = decode_rgb(encoded)
    picture.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
