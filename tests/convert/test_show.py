"""The contact sheet and the page of figures say what is in the records."""

import pytest
from PIL import Image

from common.cli import RequestError
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
    expected = [k for k, row in enumerate(sample_rows(records, 100, 0)) if row["blacklisted"]]
    assert marked == expected != []


def test_the_sample_depends_on_the_seed_alone(val, say, tmp_path):
    sheets = []
    for seed in (1, 1, 2):
        sheet = tmp_path / f"{len(sheets)}.png"
        say("show", val, "--out", sheet, "--images", 5, "--seed", seed)
        sheets.append(sheet.read_bytes())
    assert sheets[0] == sheets[1] != sheets[2]
    with Image.open(sheet) as shown:
        assert shown.size == (5 * TILE, TILE + CAPTION)


def test_the_summary_counts_classes_and_repairs(records):
    text = summary(records, seed=0)
    assert "images per class: min 3, median 3, max 3" in text
    assert "blacklisted: 1, leaving 11" in text
    for note in records.manifest.repaired:
        assert f"repaired: {note.file_name} ({note.reason})" in text


@pytest.mark.parametrize("name, images", [("sheet.jpg", 3), ("sheet.png", 0)])
def test_wrong_requests_are_refused(records, tmp_path, name, images):
    with pytest.raises(RequestError, match="--out .*PNG|--images 0: give at least 1"):
        ShowRequest(records.folder, tmp_path / name, images)
