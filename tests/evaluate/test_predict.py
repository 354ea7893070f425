"""The five best classes of single images."""

import numpy as np
import pytest

from common.files import sha256_of_lines
from evaluate.predict import predict_images
from evaluate.predictions import load_predictions
from evaluate.request import PredictRequest


@pytest.fixture
def image(source):
    return source / "val" / "ILSVRC2012_val_00000003.JPEG"


@pytest.mark.parametrize("options", [
    {"crops": 1, "single_crop": "squash"}, {"crops": 1, "interpolation": "bilinear"},
    {"crops": 144, "scales": "paper"}])
def test_an_image_gets_the_classes_and_shares_that_its_record_gets(
        call, run, records, checkpoint, image, tmp_path, options):
    assert run(**options)[0] == 0
    predictions = load_predictions(tmp_path / "out" / "predictions.npz")
    words = [word for name, value in options.items()
             for word in (f"--{name.replace('_', '-')}", value)]
    code, printed, errors = call("predict", checkpoint, image, "--records", records.folder, *words,
                                 "--device", "CPU")
    assert (code, errors) == (0, [])
    name, *lines = printed.splitlines()[-4:]
    assert name == str(image)
    assert [line.split("%")[1].strip() for line in lines] == [
        f"{records.class_words[label]} ({records.class_names[label]})"
        for label in predictions.top5[2]]
    shares = [float(line.split("%")[0]) / 100 for line in lines]
    assert np.allclose(shares, predictions.top5_prob[2], atol=1e-4)


def test_images_are_resized_as_the_checkpoint_says_unless_told_otherwise(
        call, save, source, tmp_path):
    other = source / "val" / "ILSVRC2012_val_00000002.JPEG"
    own, imported = save(tmp_path / "a.ckpt"), save(tmp_path / "b.ckpt", interpolation="bilinear")
    printed = [call("predict", checkpoint, other, "--device", "CPU", *told)[1]
               for checkpoint, told in ((own, []), (imported, ["--interpolation", "bicubic"]),
                                        (imported, []), (own, ["--interpolation", "bilinear"]))]
    assert printed[0] == printed[1] != printed[2] == printed[3]


def test_without_names_labels_are_numbered_and_every_image_has_its_lines(
        call, checkpoint, source, image):
    other = source / "val" / "ILSVRC2012_val_00000001.JPEG"
    code, printed, _ = call("predict", checkpoint, image, other, "--device", "CPU")
    lines = printed.splitlines()
    assert code == 0 and [str(image), str(other)] == lines[0::4]
    assert {line.split("%")[1].strip() for line in lines[1:4]} == {"label 0", "label 1", "label 2"}


def test_names_are_those_that_the_checkpoint_holds(call, save, image, tmp_path):
    names = ("cats & dogs", "n02", "été")
    checkpoint = save(tmp_path / "b.ckpt", class_names=names, class_words=("", "kit fox", ""),
                      class_names_sha256=sha256_of_lines(names))
    code, printed, _ = call("predict", checkpoint, image, "--device", "CPU")
    shown = {line.split("%")[1].strip() for line in printed.splitlines()[-3:]}
    assert code == 0 and shown == {"cats & dogs", "kit fox (n02)", "été"}


def test_a_python_user_may_give_strings(call, checkpoint, image, capsys):
    request = PredictRequest(str(checkpoint), str(image), device="CPU")
    assert request.images == (image,) and request.checkpoint == checkpoint
    assert predict_images(request).splitlines()[0] == str(image)
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.startswith(
        f"loading {checkpoint} (3 classes) and compiling its network for CPU: ")


def test_names_come_from_a_file_and_must_be_the_checkpoints(call, checkpoint, records, image,
                                                            tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("".join(f"{name}\n" for name in records.class_names))
    assert records.class_names[0] in call("predict", checkpoint, image, "--classes", names,
                                          "--device", "CPU")[1]
    _, _, errors = call("predict", checkpoint, image, "--classes", names, "--records",
                        records.folder)
    assert "--classes is not allowed with --records" in errors[0]
    names.write_text("ant\nbee\ncat\n")
    code, _, errors = call("predict", checkpoint, image, "--classes", names, "--device", "CPU")
    assert code == 2 and str(names) in errors[0] and "not those" in errors[0]


@pytest.mark.parametrize("content, said", [(b"no image", "cannot be decoded"),
                                           (None, "No such file")])
def test_a_file_that_is_no_image_is_named(call, checkpoint, image, tmp_path, content, said):
    other = tmp_path / "other.jpg"
    if content:
        other.write_bytes(content)
    code, printed, errors = call("predict", checkpoint, image, other, "--device", "CPU")
    assert (code, printed) == (2, "") and said in errors[0] and str(other) in errors[0]
