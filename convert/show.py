"""Showing a record set: a contact sheet of a seeded sample, and a page of figures."""

import io
import random
import statistics
from pathlib import Path


from PIL import Image, ImageDraw

from common.files import replaced_file
from common.text import counted
from convert.records.reader import RecordSet

COLUMNS = 8
TILE = 160  # pixels, the side of the square that an image is fitted into
CAPTION = 30  # pixels, two lines of text
BLACKLIST_COLOUR = (200, 0, 0)

SIZED_IMAGES = 1000  # image sizes are taken from a sample of this many


def contact_sheet(records: RecordSet, out: Path, images: int, seed: int) -> None:
    """Write a PNG of a random sample, each with class name, image id and blacklist mark."""
    rows = sample_rows(records, images, seed)
    lines = -(-len(rows) // COLUMNS)
    sheet = Image.new("RGB", (min(len(rows), COLUMNS) * TILE, lines * (TILE + CAPTION)), "white")
    for position, row in enumerate(rows):
        corner = (position % COLUMNS * TILE, position // COLUMNS * (TILE + CAPTION))
        label = int(row["label"])
        _draw(sheet, corner, row, records.class_words[label] or records.class_names[label])
    with replaced_file(out) as file:
        sheet.save(file, "PNG")


def sample_rows(records: RecordSet, count: int, seed: int) -> list[dict]:
    """Return ``count`` random rows (all, when there are fewer) in record order."""
    chosen = sorted(random.Random(seed).sample(range(records.images), min(count, records.images)))
    import mindspore.dataset as ds  # takes seconds and 400 MB: not for the other commands
    return list(records.rows(["image", "label", "image_id", "blacklisted"],
                             ds.SubsetSampler(chosen)))


def _draw(sheet: Image.Image, corner: tuple, row: dict, class_name: str) -> None:
    left, top = corner
    with Image.open(io.BytesIO(row["image"].tobytes())) as image:
        small = image.convert("RGB")
    small.thumbnail((TILE - 8, TILE - 8))
    marked = bool(row["blacklisted"])
    pen = ImageDraw.Draw(sheet)
    if marked:
        pen.rectangle((left, top, left + TILE - 1, top + TILE - 1), BLACKLIST_COLOUR)
    sheet.paste(small, (left + (TILE - small.width) // 2, top + (TILE - small.height) // 2))
    caption = f"{class_name}\n#{int(row['image_id'])}"
    pen.text((left + 4, top + TILE + 2), caption + (" blacklisted" if marked else ""),
             fill=BLACKLIST_COLOUR if marked else "black")


def summary(records: RecordSet, seed: int) -> str:
    """Return one page of figures, as Markdown."""
    manifest = records.manifest
    counts = sorted(item.images for item in manifest.classes)
    file_bytes = sum(shard.bytes + shard.index_bytes for shard in manifest.shards)
    lines = [
        f"# {records.folder.name}: {counted(manifest.images, 'image')}, {manifest.split}",
        f"- layout of the source: {manifest.layout}; record set {records.sha256}",
        f"- classes: {len(counts)}; images per class: min {counts[0]:,}, "
        f"median {statistics.median(counts):,g}, max {counts[-1]:,}",
        f"- shards: {len(manifest.shards)}; bytes: {manifest.image_bytes:,} of images in "
        f"{file_bytes:,} of files",
        _sizes_line(records, seed),
    ]
    if manifest.blacklist:
        lines.append(f"- blacklisted: {manifest.blacklist.images:,}, leaving "
                     f"{manifest.images - manifest.blacklist.images:,} in the filtered set")
    lines += [f"- {kind}: {note.file_name} ({note.reason})"
              for kind in ("repaired", "rejected") for note in getattr(manifest, kind)]
    return "\n".join(lines)


def _sizes_line(records: RecordSet, seed: int) -> str:
    sizes = []
    for row in sample_rows(records, SIZED_IMAGES, seed):
        with Image.open(io.BytesIO(row["image"].tobytes())) as image:
            sizes.append(image.size)
    sides = [sorted(values) for values in zip(*sizes)]
    width, height = (f"{side[0]} / {side[len(side) // 2]} / {side[-1]}" for side in sides)
    return f"- pixels, min / median / max of {len(sizes):,} images: {width} wide, {height} high"
