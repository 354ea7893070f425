"""What people call the classes is found wherever a source says it, and is in the manifest."""

import pytest

from convert.conversion import convert
from convert.records.reader import open_records
from convert.request import Request
from convert.sample.arrange import arrange_sample, make_sample
from convert.sample.draw import style_of
from convert.sources.class_words import find_class_words

DRAWN = ["pink stripes on red", "black checks on green", "yellow dots on teal",
         "blue grid on white"]


@pytest.mark.parametrize("layout", ["flat", "folders", "archives", "kaggle"])
@pytest.mark.parametrize("split", ["train", "val"])
def test_every_layout_names_the_classes_by_what_is_drawn(tmp_path, layout, split):
    make_sample(tmp_path / "source", classes=4, train=1, val=1)
    arrange_sample(tmp_path / "source", layout)
    convert(Request(tmp_path / "source", split, tmp_path / "out", check="header"))
    records = open_records(tmp_path / "out")
    assert records.class_words == DRAWN == [style_of(label).words for label in range(4)]
    assert all(name.startswith("n9") for name in records.class_names)


def test_words_are_the_first_of_several_and_the_ground_truths_folder_comes_first(tmp_path):
    (tmp_path / "LOC_synset_mapping.txt").write_text("n01 tench, Tinca tinca\nn02 great_white\n\n")
    assert find_class_words(tmp_path) == {"n01": "tench", "n02": "great white"}
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "map_clsloc.txt").write_text("n02 1 white_shark\n")
    assert find_class_words(tmp_path, other / "truth.txt") == {"n02": "white shark"}
    assert find_class_words(other) == {"n02": "white shark"}
    assert find_class_words(tmp_path / "nothing" / "here") == {}


@pytest.mark.parametrize("name, content", [
    ("meta.mat", b"no matrix"), ("map_clsloc.txt", b"\xff\xfe\xfa"),
    ("ILSVRC2012_devkit_t12.tar.gz", b"\x1f\x8bno archive")])
def test_a_damaged_file_is_warned_of_and_the_next_one_read(tmp_path, capsys, name, content):
    (tmp_path / name).write_bytes(content)
    (tmp_path / "LOC_synset_mapping.txt").write_text("n01 tench\n")
    assert find_class_words(tmp_path) == {"n01": "tench"}
    warning = capsys.readouterr().err
    assert warning.startswith(f"warning: {tmp_path / name} has no words") and warning.count(
        "\n") == 1


def test_own_classes_have_no_words_and_their_manifest_no_key_for_them(sample, tmp_path):
    for name in ("cat", "dog"):
        folder = tmp_path / "my" / "train" / name
        folder.mkdir(parents=True)
        image = next(sample.rglob("*.JPEG"))
        (folder / "a.jpg").write_bytes(image.read_bytes())
    convert(Request(str(tmp_path / "my"), "train", str(tmp_path / "out")))
    assert open_records(str(tmp_path / "out")).class_words == ["", ""]
    assert '"words"' not in (tmp_path / "out" / "manifest.json").read_text()
