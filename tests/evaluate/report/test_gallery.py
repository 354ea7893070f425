"""The images of the mistakes are those of the records."""

import io
from dataclasses import replace

import pytest
from PIL import Image
from small import draw_image, encode_image

from common.cli import CheckFailed
from convert.records.reader import RecordSet
from evaluate.report.blocks import Figures
from evaluate.report.gallery import SIDE, gallery_section, read_images, shrink
from evaluate.report.inputs import read_inputs
from evaluate.report.translations import translator
from evaluate.views import read_rows


def test_a_missing_image_fails(records):
    with pytest.raises(CheckFailed, match="image id 99"):
        read_images(records, [1, 99])


def test_thumbnails_are_small_jpegs_of_any_image():
    small = Image.open(io.BytesIO(shrink(encode_image(draw_image(600, 300, "CMYK")))))
    assert (small.format, small.mode, small.size) == ("JPEG", "RGB", (SIDE, SIDE // 2))


def test_the_surest_mistake_comes_first_with_its_classes_and_mark(trial, records):
    inputs = read_inputs(None, trial / "results", [], translator("en"))
    section = gallery_section(inputs, translator("en"))
    gallery, = [block for block in section if isinstance(block, Figures)]
    words = records.class_words
    assert words == ["class 1", "class 2", "class 3"]
    assert [image.title for image in gallery.figures] == [
        f"80.0 %: {words[2]}", f"70.0 %: {words[0]}", f"60.0 %: {words[2]}"]
    assert gallery.figures[2].lines == [f"true: {words[1]}", "image 2, blacklisted"]
    stored = {row.image_id: row.image for row in read_rows(records)}
    assert [image.jpeg for image in gallery.figures] == [
        shrink(stored[image_id]) for image_id in (4, 6, 2)]
    names = [f"{text}\n{name}" for text, name in zip(words, records.class_names)]
    table = section[-1]
    assert table.folded and table.rows == [
        ["4", names[0], names[2], "80.0", "15.0", "no"],
        ["6", names[2], names[0], "70.0", "22.5", "no"],
        ["2", names[1], names[2], "60.0", "30.0", "yes"]]


def test_images_of_ones_own_are_named_by_their_files(trial, records):
    """Of ILSVRC's, the number in the name is the image id."""
    own = RecordSet(records.folder, replace(records.manifest, ilsvrc_numbers=None))
    assert records.manifest.has_ilsvrc_names and not own.manifest.has_ilsvrc_names
    inputs = replace(read_inputs(None, trial / "results", [], translator("en")),
                     record_sets={records.sha256: own})
    _, gallery, table = gallery_section(inputs, translator("en"))
    files = [f"ILSVRC2012_val_{number:08}.JPEG" for number in (4, 6, 2)]
    assert [image.lines[1:] for image in gallery.figures] == [
        [files[0]], [files[1]], [f"{files[2]}, blacklisted"]]
    assert (table.heads[-1], [row[-1] for row in table.rows]) == ("file", files)
    assert len(table.heads) - 1 in table.left
