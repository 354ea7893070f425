"""The devkit's class order is not the order of the sorted wnids."""

import shutil

import numpy as np
import pytest
from scipy.io import savemat

from common.cli import RequestError
from convert.sample.arrange import arrange_sample
from convert.sources import labels
from convert.sources.label_lists import KAGGLE_CLASSES, KAGGLE_SOLUTION
from convert.sources.labels import find_ground_truth, read_ground_truth
from convert.sources.layouts import KAGGLE_IMAGES
from convert.sources.split_listing import list_source


def devkit(folder, truth, class_map):
    data = folder / "devkit" / "data"
    data.mkdir(parents=True)
    if class_map is not None:
        (data / "map_clsloc.txt").write_text(class_map)
    path = data / "ILSVRC2012_validation_ground_truth.txt"
    path.write_text(truth)
    return path


MAP = "n02119789 1 kit_fox\nn02100735 2 English_setter\nn01440764 3 tench\n"


def test_labels_are_positions_of_sorted_wnids_not_devkit_ids(tmp_path):
    truth = read_ground_truth(devkit(tmp_path, "\ufeff1\r\n3\r\n2\r\n3\r\n", MAP))
    assert truth.class_names == ["n01440764", "n02100735", "n02119789"]
    assert truth.labels == {1: 2, 2: 0, 3: 1, 4: 0}


def test_the_ground_truth_is_found_in_a_devkit_folder(tmp_path):
    path = devkit(tmp_path, "1\n", MAP)
    assert find_ground_truth(tmp_path) == path
    (path.parent / "ILSVRC2013_validation_ground_truth.txt").write_text("1\n")
    with pytest.raises(RequestError, match="several ground truths.*--ground-truth"):
        find_ground_truth(tmp_path)


@pytest.mark.parametrize("truth, class_map, words", [
    ("1\n4\n", MAP, "line 2: '4' is not a devkit class id"),
    ("1\n" + "9" * 5000, MAP, "line 2: '999"), ("\u0663\n", MAP, "line 1"),
    ("1\n", "n02119789 " + "9" * 5000, "line 1: expected"),
    ("1\n\n", MAP, "line 2: '' is not"),
    ("", MAP, "is empty"),
    ("1\n", "n02119789 one\n", "line 1: expected 'wnid id name'"),
    ("1\n", "n02119789 1\nn02119789 2\n", "line 2: 'n02119789 2' appears twice"),
    ("1\n", "n02119789 1\nn02100735 1\n", "line 2: 'n02100735 1' appears twice"),
    ("1\n", MAP.replace("n01440764", "nO1440764"), "class name 'nO1440764' is not a wnid like"),
    ("1\n", None, "neither map_clsloc.txt nor meta.mat"),
])
def test_malformed_files_are_refused_by_line(tmp_path, truth, class_map, words):
    with pytest.raises(RequestError) as error:
        read_ground_truth(devkit(tmp_path, truth, class_map))
    assert words in str(error.value)


@pytest.mark.parametrize("layout", ["flat", "kaggle"])
def test_a_class_map_without_a_class_of_train_is_refused(source, layout):
    """One wnid of the map is damaged: classes are sorted in another order than those of train/."""
    arrange_sample(source, layout)
    path = source / ("devkit/data/map_clsloc.txt" if layout == "flat" else KAGGLE_CLASSES)
    first = list_source(source, "train").class_names[0]
    for text in (path, path.with_name(KAGGLE_SOLUTION)):
        if text.exists():
            text.write_text(text.read_text().replace(first, "n99999999"))
    with pytest.raises(RequestError, match=f"has not all classes of train/: {first} is one of 1"):
        list_source(source, "val")
    shutil.rmtree(source / ("train" if layout == "flat" else KAGGLE_IMAGES / "train"))
    assert list_source(source, "val").class_names[-1] == "n99999999"


def test_labels_come_from_the_file_that_is_given(source, tmp_path):
    data = source / "devkit" / "data"
    truth = data / "ILSVRC2012_validation_ground_truth.txt"
    found = list_source(source, "val")
    ids = truth.read_text().split()
    (tmp_path / "other").mkdir()
    shutil.copy(data / "map_clsloc.txt", tmp_path / "other")
    given = tmp_path / "other" / "reversed.txt"
    given.write_text("\n".join(reversed(ids)))
    labels = [entry.label for entry in list_source(source, "val", given).entries]
    assert labels == [entry.label for entry in reversed(found.entries)]
    with pytest.raises(RequestError, match=f"{given} is for validation images.* leave it out"):
        list_source(source, "train", given)
    with pytest.raises(RequestError, match="nowhere.txt does not exist; give a text file"):
        list_source(source, "val", tmp_path / "nowhere.txt")


@pytest.mark.parametrize("place", ["imagenet", "imagenet/data", "imagenet/kit/data", "data",
                                   "kit/data"])
def test_the_devkit_may_be_in_the_source_or_next_to_it(source, tmp_path, place):
    disk = tmp_path / "disk"  # or a test whose source is its tmp_path would find this devkit
    disk.mkdir()
    source = source.rename(disk / "imagenet")
    before = list_source(source, "val").sha256()
    (source / "devkit" / "data").rename(disk / "elsewhere")
    with pytest.raises(RequestError, match="without labels: .*--ground-truth"):
        list_source(source, "val")
    shutil.copytree(disk / "elsewhere", disk / place, dirs_exist_ok=True)
    assert list_source(source, "val").sha256() == before


def test_the_class_map_counts_before_meta_mat_and_inner_nodes_of_meta_mat_do_not(tmp_path):
    path = devkit(tmp_path, "1\n1000\n", MAP)
    synsets = np.zeros(3, dtype=[("ILSVRC2012_ID", "O"), ("WNID", "O")])
    synsets[:] = [(1, "n9"), (1000, "n5"), (1001, "n0")]
    savemat(path.with_name("meta.mat"), {"synsets": synsets})
    with pytest.raises(RequestError, match=r"line 2: '1000' is not .*\(1 to 3\)"):
        read_ground_truth(path)
    path.with_name("map_clsloc.txt").unlink()
    truth = read_ground_truth(path)
    assert (truth.class_names, truth.labels) == (["n5", "n9"], {1: 1, 2: 0})


@pytest.mark.parametrize("second", [(1, "n5"), (2, "n9")])
def test_a_class_table_with_an_id_or_a_wnid_twice_is_refused(tmp_path, second):
    path = devkit(tmp_path, "1\n", None)
    synsets = np.zeros(3, dtype=[("ILSVRC2012_ID", "O"), ("WNID", "O")])
    synsets[:] = [(1, "n9"), second, (1001, "n9")]  # of the inner nodes, none counts
    savemat(path.with_name("meta.mat"), {"synsets": synsets})
    with pytest.raises(RequestError, match=f"meta.mat of .*: '{second[1]} {second[0]}' appears tw"):
        read_ground_truth(path)


def test_a_class_table_that_kills_scipys_process_is_refused(tmp_path, monkeypatch):
    path = devkit(tmp_path, "1\n", MAP)
    path.with_name("map_clsloc.txt").rename(path.with_name("meta.mat"))
    monkeypatch.setattr(labels, "_READ_META", "import os; os.kill(os.getpid(), 11)")
    with pytest.raises(RequestError, match=r"meta.mat of .* is not the devkit's .* .killed.; give"):
        read_ground_truth(path)


def test_files_that_are_not_text_or_not_a_class_table_are_refused(tmp_path):
    path = devkit(tmp_path, "1\n", MAP)
    path.write_bytes(b"\xff\xfe1")
    with pytest.raises(RequestError, match="ground_truth.txt is not a text file"):
        read_ground_truth(path)
    path.write_text("1\n")
    path.with_name("map_clsloc.txt").unlink()
    path.with_name("meta.mat").write_bytes(b"x" * 200)
    with pytest.raises(RequestError, match="meta.mat of .* is not the devkit's class table"):
        read_ground_truth(path)
