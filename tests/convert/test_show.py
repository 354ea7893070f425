"""The contact sheet and the page of figures say what is in the records."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from common.cli import RequestError
from convert import show
from convert.records.reader import open_records
from convert.request import ShowRequest
from convert.show import BLACKLIST_COLOUR, CAPTION, TILE, contact_sheet, sample_rows, summary


@pytest.fixture(scope="module")
def records(val):
    return open_records(val)


def test_the_sheet_shows_every_image_and_marks_the_blacklisted(records, tmp_path):
    contact_sheet(records, tmp_path / "sheet.png", images=100, seed=0)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (8 * TILE, 2 * (TILE + CAPTION))
        marked = [k for k in range(12)
                  if sheet.getpixel((k % 8 * TILE, k // 8 * (TILE + CAPTION))) == BLACKLIST_COLOUR]
        rows = sample_rows(records, 100, 0)
        for k, row in enumerate(rows):
            left, top = k % 8 * TILE, k // 8 * (TILE + CAPTION)
            check_tile(sheet.crop((left, top, left + TILE, top + TILE + CAPTION)), row)
    expected = [k for k, row in enumerate(rows) if row["blacklisted"]]
    assert marked == expected != []


def check_tile(tile, row):
    """Its image in the middle of a square that is red or white, its caption of two lines below."""
    with Image.open(io.BytesIO(row["image"].tobytes())) as image:
        whole, image = image.size, image.convert("RGB")
        image.thumbnail((TILE - 8, TILE - 8))
        assert image.size in (whole, (TILE - 8, image.height), (image.width, TILE - 8))
    background = BLACKLIST_COLOUR if row["blacklisted"] else (255, 255, 255)
    left, top = (TILE - image.width) // 2, (TILE - image.height) // 2
    box = (left, top, left + image.width, top + image.height)
    assert tile.crop(box).tobytes() == image.tobytes()
    rest = tile.crop((0, 0, TILE, TILE))
    rest.paste(background, box)
    assert rest.getcolors() == [(TILE * TILE, background)]
    assert tile.crop((0, TILE, TILE, TILE + 2)).getcolors() == [(2 * TILE, (255, 255, 255))]
    for begin in (TILE + 2, TILE + 16):  # a line each, which begins 4 pixels from the left
        line = np.asarray(tile.crop((0, begin, TILE, begin + 14)))
        written = (line != 255).any((0, 2)).nonzero()[0]
        assert 4 <= written[0] <= 6 and (line[..., 0].min() >= 200) == row["blacklisted"]


def test_captions_have_words_or_name_id_and_mark(records, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr("PIL.ImageDraw.ImageDraw.text", lambda self, place, text, fill: (
        written.append((place, text))))
    contact_sheet(records, tmp_path / "sheet.png", images=9, seed=4)
    nameless = replace(records, manifest=replace(records.manifest, classes=[
        replace(item, words="") for item in records.manifest.classes]))
    contact_sheet(nameless, tmp_path / "sheet.png", images=9, seed=4)
    rows = sample_rows(records, 9, 4)
    for names, shown in ((records.class_words, written[:9]), (records.class_names, written[9:])):
        assert shown == [((4 + k % 8 * TILE, k // 8 * (TILE + CAPTION) + TILE + 2),
                          f"{names[row['label']]}\n#{row['image_id']}"
                          + " blacklisted" * int(row["blacklisted"])) for k, row in enumerate(rows)]


def test_the_sample_depends_on_the_seed_alone(val, say, tmp_path):
    sheets = []
    for seed in (1, 1, 2):
        sheet = tmp_path / f"{len(sheets)}.png"
        say("show", val, "--out", sheet, "--images", 5, "--seed", seed)
        sheets.append(sheet.read_bytes())
    assert sheets[0] == sheets[1] != sheets[2]
    with Image.open(sheet) as shown:
        assert shown.size == (5 * TILE, TILE + CAPTION)


def sizes_of(records, seed, most):
    """Width and height of a sample's images: smallest, the middle one, largest."""
    sizes = [Image.open(io.BytesIO(row["image"].tobytes())).size
             for row in sample_rows(records, most, seed)]
    width, height = (" / ".join(str(sorted(side)[at]) for at in (0, len(side) // 2, -1))
                     for side in zip(*sizes))
    return (f"- pixels, min / median / max of {len(sizes)} images: {width} wide, {height} high")


def test_sizes_are_those_of_a_sample_of_the_seed(val, records, say, tmp_path, monkeypatch):
    monkeypatch.setattr(show, "SIZED_IMAGES", 4)
    lines = [sizes_of(records, seed, 4) for seed in (1, 2)]
    assert lines[0] != lines[1]
    for seed, line in zip((1, 2), lines):
        printed = say("show", val, "--out", tmp_path / "a.png", "--images", 1, "--seed", seed).out
        assert f"\n{line}\n" in printed
        assert printed.endswith(f"\ncontact sheet: {tmp_path / 'a.png'}\n")


def test_the_summary_counts_classes_and_repairs(records):
    text = summary(records, seed=0)
    sizes = [path.stat().st_size for path in records.folder.glob("*.mindrecord*")]
    assert text.splitlines()[:5] == [
        "# records: 12 images, val",
        f"- layout of the source: flat; record set {records.sha256}",
        "- classes: 4; images per class: min 3, median 3, max 3",
        f"- shards: 3; bytes: {records.image_bytes:,} of images in {sum(sizes):,} of files",
        sizes_of(records, 0, 12)]
    assert "images per class: min 3, median 3, max 3" in text
    assert "blacklisted: 1, leaving 11" in text
    for note in records.manifest.repaired:
        assert f"repaired: {note.file_name} ({note.reason})" in text


@pytest.mark.parametrize("name, images", [("sheet.jpg", 3), ("sheet.png", 0)])
def test_wrong_requests_are_refused(records, tmp_path, name, images):
    with pytest.raises(RequestError, match="--out .*PNG|--images 0: give at least 1"):
        ShowRequest(records.folder, tmp_path / name, images)
