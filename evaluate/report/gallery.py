"""The most confident mistakes, with their images from the records."""

import io
from typing import NamedTuple, Sequence

import numpy as np

from common.cli import CheckFailed
from convert.records.reader import RecordSet
from evaluate.predictions import Predictions
from evaluate.report.blocks import Block, Figures, LeftOut, Table, Thumbnail
from evaluate.report.classes import Names, class_names
from evaluate.report.inputs import Inputs
from evaluate.report.translations import Translate, counted_in
from evaluate.views import decode_rgb

SHOWN = 24
SIDE = 192  # pixels of a thumbnail's longer side
QUALITY = 85


class StoredImage(NamedTuple):
    encoded: bytes
    file_name: str = ""  # empty where the id names the image


def gallery_section(inputs: Inputs, t: Translate) -> list[Block]:
    main = inputs.main
    if main is None or main.predictions is None:
        raise LeftOut(t("no result has its predictions.npz."))
    chosen = confident_mistakes(main.predictions, SHOWN)
    if not chosen:
        raise LeftOut(t("{name} has no wrong image.", name=main.name))
    names, records = class_names(inputs, main, t), inputs.records_of(main)
    blocks: list[Block] = [
        t("{name}: the wrong images with the highest predicted probability ({images}).",
          name=main.name, images=counted_in(t, len(chosen), "image"))]
    if records is None:
        blocks.append(t("Images are left out: the record set of {name} was not found; give it "
                        "with --records.", name=main.name))
        return [*blocks, _table(main.predictions, chosen, names, t)]
    images = read_images(records, main.predictions.image_id[chosen].tolist())
    if records.manifest.has_ilsvrc_names:  # whose numbers are the ids
        images = [StoredImage(image.encoded) for image in images]
    file_names = [image.file_name for image in images if image.file_name]
    return [*blocks, Figures(_thumbnails(main.predictions, chosen, images, names, t), "gallery"),
            _table(main.predictions, chosen, names, t, file_names, folded=True)]


def confident_mistakes(predictions: Predictions, most: int) -> list[int]:
    """Return the rows of the ``most`` wrong images with the highest predicted probability, highest
    first."""
    wrong = np.flatnonzero(predictions.top5[:, 0] != predictions.label)
    order = np.argsort(-predictions.top5_prob[wrong, 0], kind="stable")
    return wrong[order[:most]].tolist()


def _thumbnails(predictions: Predictions, chosen: Sequence[int], images: Sequence[StoredImage],
                names: Names, t: Translate) -> list[Thumbnail]:
    thumbnails = []
    for row, image in zip(chosen, images):
        title = t("{share:.1f} %: {name}", name=names.short[int(predictions.top5[row, 0])],
                  share=100 * float(predictions.top5_prob[row, 0]))
        name = image.file_name or t("image {image_id}", image_id=int(predictions.image_id[row]))
        if predictions.blacklisted[row]:
            name = t("{name}, blacklisted", name=name)
        true = t("true: {name}", name=names.short[int(predictions.label[row])])
        thumbnails.append(Thumbnail(shrink(image.encoded), title, [true, name]))
    return thumbnails


def _table(predictions: Predictions, chosen: Sequence[int], names: Names, t: Translate,
           file_names: Sequence[str] = (), folded: bool = False) -> Table:
    rows = []
    for row in chosen:
        label, top5 = int(predictions.label[row]), predictions.top5[row]
        # Of other classes than the five best the probability is not known.
        true = [f"{100 * probability:.1f}" for probability in
                predictions.top5_prob[row, top5 == label]] or ["–"]
        rows.append([f"{predictions.image_id[row]}", names.cells[label],
                     names.cells[int(top5[0])],
                     f"{100 * predictions.top5_prob[row, 0]:.1f}", *true,
                     t("yes" if predictions.blacklisted[row] else "no")])
    heads = [t(head) for head in (
        "image id", "true class", "predicted", "probability, %",
        "probability of the true class, %", "blacklisted")]
    if not predictions.blacklisted.any():
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    left = [1, 2, 5]
    if file_names:
        heads.append(t("file"))
        rows = [[*row, name] for row, name in zip(rows, file_names)]
        left.append(len(heads) - 1)
    return Table(heads, rows, t("The same as a table") if folded else "", left=tuple(left),
                 folded=folded)


def read_images(records: RecordSet, image_ids: Sequence[int]) -> list[StoredImage]:
    """Return the images with these ids, in this order.

    Raises:
        CheckFailed: one is not in the records, or other rows were read than asked for.
    """
    import mindspore.dataset as ds  # not above: a report without images needs no MindSpore
    wanted = set(image_ids)
    positions = [position for position, row in enumerate(records.rows(["image_id"]))
                 if int(row["image_id"]) in wanted]
    columns = ["image_id", "image", "file_name"]
    images = {int(row["image_id"]): StoredImage(row["image"].tobytes(), str(row["file_name"]))
              for row in records.rows(columns, ds.SubsetSampler(positions))}
    if images.keys() != wanted:
        raise CheckFailed(f"{records.folder} does not hold image id "
                          f"{min(wanted ^ images.keys())} where its index says; see what is "
                          f"damaged with: python -m convert verify {records.folder}")
    return [images[image_id] for image_id in image_ids]


def shrink(encoded: bytes) -> bytes:
    """Return a small JPEG of an image of any format."""
    image = decode_rgb(encoded)
    image.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
