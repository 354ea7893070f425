"""Records whose classes are some of the checkpoint's, or numbered, evaluated by its class names."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from small import converted, draw_image, encode_image

from common.cli import RequestError
from common.files import sha256_of_lines
from evaluate.class_names import network_classes
from evaluate.predictions import load_predictions

ANIMALS = ["ant", "bee", "cat", "dog"]


def classes_of(folder, names, of_records, known=True):
    meta = SimpleNamespace(num_classes=4, class_names=ANIMALS, class_words=["", "", "", "hound"],
                           class_names_sha256=sha256_of_lines(ANIMALS) if known else "")
    records = SimpleNamespace(class_names=of_records, folder="records",
                              class_words=[f"the {name}" for name in of_records],
                              class_names_sha256=sha256_of_lines(of_records))
    file = None
    if names is not None:
        file = folder / "names.txt"
        file.write_text("".join(f"{name}\n" for name in names))
    return network_classes(records, meta, "a.ckpt", file)


@pytest.mark.parametrize("of_records, expected", [
    (ANIMALS, [0, 1, 2, 3]), (["bee", "dog"], [1, 3]), (["0", "1", "2", "3"], [0, 1, 2, 3]),
    (["0", "3", "1", "2"], [0, 3, 1, 2])])
def test_labels_are_found_by_name_or_are_the_numbers(tmp_path, of_records, expected):
    found = classes_of(tmp_path, ANIMALS, of_records)
    assert found.names == ANIMALS and found.labels.tolist() == expected
    assert found.labels.dtype == np.int32
    assert found.words == [f"the {name}" if name in of_records else "" for name in ANIMALS[:3]] + [
        "hound"]  # the checkpoint's own come first


@pytest.mark.parametrize("names, of_records, said", [
    (ANIMALS[::-1], ANIMALS, "names.txt are not those that a.ckpt was trained on"),
    (ANIMALS[:3], ANIMALS, "the 3 class names"),
    (ANIMALS, ["bee", "eel"], "class 'eel' of records is not one of the 4"),
    (ANIMALS, ["1", "2", "3", "4"], "class '1' of records.*numbered 0 to 3"),
    (None, ["bee", "dog"], "has 4 classes but records has 2.*--class-names"),
    (None, ANIMALS[::-1], "with other names.*--class-names")])
def test_classes_that_do_not_fit_are_refused(tmp_path, names, of_records, said):
    with pytest.raises(RequestError, match=said):
        classes_of(tmp_path, names, of_records)


def test_a_name_that_appears_twice_is_refused_and_names_may_have_spaces(tmp_path):
    """Of a checkpoint whose own names are unknown, nothing else tells that labels would shift."""
    with pytest.raises(RequestError, match="names.txt, line 3: 'ant' is already on line 1"):
        classes_of(tmp_path, ["ant", "bee", "ant", "dog"], ["bee"], known=False)
    spaced = ["ant", "big cat", "dog", "eel"]
    assert classes_of(tmp_path, spaced, ["big cat"], known=False).labels.tolist() == [1]


def test_folders_named_by_numbers_become_records_with_these_labels(tmp_path):
    for label in range(11):
        folder = tmp_path / "v2" / str(label)
        folder.mkdir(parents=True)
        (folder / "one.jpeg").write_bytes(encode_image(draw_image(20, 20, seed=label)))
    records = converted(tmp_path / "v2", tmp_path / "records")
    assert records.class_names == [str(label) for label in range(11)]
    labels = {str(row["file_name"]): int(row["label"])
              for row in records.rows(["file_name", "label"])}
    assert labels == {f"{label}/one.jpeg": label for label in range(11)}


def test_a_set_of_some_classes_is_scored_by_the_networks_labels(
        run, call, records, save, tmp_path):
    """The network has the classes in the reverse order: label 0 of the records is its label 2."""
    reverse = records.class_names[::-1]
    checkpoint = save(tmp_path / "b.ckpt", class_names_sha256=sha256_of_lines(reverse))
    (tmp_path / "names.txt").write_text("".join(f"{name}\n" for name in reverse))
    code, _, errors = run(checkpoint=checkpoint)
    assert code == 2 and "with other names" in errors[0]
    assert run(checkpoint=checkpoint, class_names=tmp_path / "names.txt")[0] == 0
    assert run("plain")[0] == 0
    mapped, plain = (load_predictions(tmp_path / name / "predictions.npz")
                     for name in ("out", "plain"))
    assert mapped.label.tolist() == (2 - plain.label).tolist()
    assert np.array_equal(mapped.top5, plain.top5)
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["class_names"] == reverse
    right = int((mapped.top5[:, 0] == 2 - plain.label).sum())
    assert result["sets"]["full"]["top1_correct"] == right
