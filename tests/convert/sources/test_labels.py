"""The devkit's class order is not the order of the sorted wnids."""

import pytest

from common.cli import RequestError
from convert.sources.labels import find_ground_truth, read_ground_truth


def devkit(folder, truth, class_map):
    data = folder / "devkit" / "data"
    data.mkdir(parents=True)
    (data / "map_clsloc.txt").write_text(class_map)
    path = data / "ILSVRC2012_validation_ground_truth.txt"
    path.write_text(truth)
    return path


MAP = "n02119789 1 kit_fox\nn02100735 2 English_setter\nn01440764 3 tench\n"


def test_labels_are_positions_of_sorted_wnids_not_devkit_ids(tmp_path):
    truth = read_ground_truth(devkit(tmp_path, "1\n3\n2\n3\n", MAP))
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
    ("1\n\n", MAP, "line 2: '' is not"),
    ("", MAP, "is empty"),
    ("1\n", "n02119789 one\n", "line 1: expected 'wnid id name'"),
    ("1\n", "n02119789 1\nn02119789 2\n", "line 2: 'n02119789 2' appears twice"),
])
def test_malformed_files_are_refused_by_line(tmp_path, truth, class_map, words):
    with pytest.raises(RequestError) as error:
        read_ground_truth(devkit(tmp_path, truth, class_map))
    assert words in str(error.value)


def test_a_missing_class_map_is_named(tmp_path):
    path = devkit(tmp_path, "1\n", MAP)
    path.with_name("map_clsloc.txt").unlink()
    with pytest.raises(RequestError, match="neither map_clsloc.txt nor meta.mat"):
        read_ground_truth(path)
