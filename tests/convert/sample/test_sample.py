"""The sample: the official layout, its odd files and traps, and classes that can be told apart."""

import hashlib
import re

import numpy as np
import pytest
from PIL import Image
from reading import digests

from common.cli import RequestError
from convert.request import SampleRequest
from convert.sample import arrange
from convert.sample.arrange import make_sample
from convert.sample.draw import COLOURS, TEXTURES, draw_image, style_of

CLASSES, TRAIN, VAL = 10, 12, 5


@pytest.fixture(scope="module")
def ten_classes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ten") / "imagenet"
    make_sample(folder, CLASSES, TRAIN, VAL, seed=3)
    return folder


@pytest.fixture
def drawn(monkeypatch):
    """Draws black images instead; a list of the state of the random numbers of each."""
    states = []

    def draw(style, rng):
        states.append(rng.bit_generator.state["state"]["state"])
        return np.zeros((8, 8, 3), dtype=np.uint8)
    monkeypatch.setattr(arrange, "draw_image", draw)
    return states


def wnids_of(sample):
    return sorted(folder.name for folder in (sample / "train").iterdir())


def lines_of(sample, name):
    return (sample / "devkit" / "data" / name).read_text().splitlines()


def truth_of(sample):
    return [int(line) for line in lines_of(sample, "ILSVRC2012_validation_ground_truth.txt")]


def blacklist_of(sample):
    return [int(line) for line in
            lines_of(sample, "ILSVRC2015_clsloc_validation_blacklist.txt")]


def labels_of(sample):
    """Right labels of the validation images: devkit id -> wnid -> place among sorted wnids."""
    wnids = wnids_of(sample)
    wnid_of_id = {int(line.split()[1]): line.split()[0]
                  for line in lines_of(sample, "map_clsloc.txt")}
    return [wnids.index(wnid_of_id[devkit_id]) for devkit_id in truth_of(sample)]


def test_files_lie_as_in_the_official_layout(ten_classes):
    """Training images in wnid folders under irregular numbers, validation images flat, numbered
    from one, their classes shuffled."""
    widths = set()
    for wnid in wnids_of(ten_classes):
        names = [path.name for path in (ten_classes / "train" / wnid).iterdir()]
        numbers = sorted(int(re.fullmatch(rf"{wnid}_(\d+)\.JPEG", name)[1]) for name in names)
        assert len(numbers) == TRAIN
        assert np.diff(numbers).min() > 1
        widths |= {len(str(number)) for number in numbers}
    assert len(widths) > 1
    assert sorted(path.name for path in (ten_classes / "val").iterdir()) == [
        f"ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, CLASSES * VAL + 1)]
    labels = labels_of(ten_classes)
    assert np.bincount(labels).tolist() == [VAL] * CLASSES
    assert labels != sorted(labels)


@pytest.mark.parametrize("classes, val, listed", [(2, 1, 1), (3, 2, 1), (10, 10, 4), (10, 30, 12)])
def test_devkit_order_is_no_class_s_own_and_the_blacklist_names_some_ids(tmp_path, drawn, classes,
                                                                         val, listed):
    make_sample(tmp_path / "sample", classes, train=1, val=val)
    read_wrongly = np.array(truth_of(tmp_path / "sample")) - 1
    assert not (read_wrongly == labels_of(tmp_path / "sample")).any()
    ids = blacklist_of(tmp_path / "sample")
    assert len(ids) == listed and ids == sorted(set(ids))
    assert 1 <= ids[0] and ids[-1] <= classes * val


def test_of_three_training_images_each_is_odd(tmp_path, drawn):
    make_sample(tmp_path / "sample", classes=3, train=1, val=1)
    kinds = []
    for path in (tmp_path / "sample" / "train").rglob("*.JPEG"):
        with Image.open(path) as image:
            kinds.append((image.format, image.mode))
    assert sorted(kinds) == [("JPEG", "CMYK"), ("JPEG", "L"), ("PNG", "RGB")]


def test_odd_files_are_there_once_each_and_sizes_and_qualities_vary(ten_classes):
    odd, images = {}, {}
    for path in sorted(ten_classes.rglob("*.JPEG")):
        with Image.open(path) as image:
            image.load()
            images[path] = image
            if (image.format, image.mode) != ("JPEG", "RGB"):
                odd.setdefault(path.relative_to(ten_classes).parts[0], []).append(
                    (image.format, image.mode, path))
    assert sorted(kind[:2] for kind in odd["train"]) == [
        ("JPEG", "CMYK"), ("JPEG", "L"), ("PNG", "RGB")]
    (*kind, path), = odd["val"]
    assert kind == ["JPEG", "CMYK"]
    assert int(path.stem[-8:]) in blacklist_of(ten_classes)
    sizes = [image.size for image in images.values()]
    assert len(set(sizes)) > len(sizes) / 2
    assert all(90 <= min(size) <= 200 and max(size) <= 2 * min(size) + 1 for size in sizes)
    assert len({width > height for width, height in sizes}) == 2
    assert len({tuple(image.quantization[0]) for image in images.values()
                if image.format == "JPEG"}) > 8
    assert len(set(digests(ten_classes).values())) == len(images) + 3, "no image is another's copy"


def crop_colours(paths):
    """Mean colour of a quarter of each image, (N, 3): knows nothing of place or mirroring."""
    colours = []
    for path in paths:
        with Image.open(path) as image:
            width, height = image.size
            crop = image.convert("RGB").crop((0, 0, width // 2, height // 2))
        colours.append(np.asarray(crop, dtype=float).mean((0, 1)))
    return np.array(colours)


def test_classes_are_told_apart_by_a_crop_and_not_with_labels_in_devkit_order(ten_classes):
    centres = np.array([crop_colours((ten_classes / "train" / wnid).iterdir()).mean(0)
                        for wnid in wnids_of(ten_classes)])
    colours = crop_colours(sorted((ten_classes / "val").iterdir()))
    guesses = np.linalg.norm(colours[:, None] - centres, axis=2).argmin(1)
    assert (guesses == labels_of(ten_classes)).mean() > 0.9
    assert (guesses == np.array(truth_of(ten_classes)) - 1).mean() <= 0.2


def test_every_image_is_drawn_from_random_numbers_of_its_own(tmp_path, drawn):
    make_sample(tmp_path / "sample", classes=3, train=9, val=3)
    assert len(drawn) == len(set(drawn)) == 36


def test_thousand_classes_have_thousand_wnids_and_names(tmp_path, monkeypatch):
    monkeypatch.setattr(arrange, "_draw_file", lambda *_: None)
    make_sample(tmp_path / "sample", classes=1000, train=1, val=1)
    wnids, devkit_ids, names = zip(*(
        re.fullmatch(r"(n\d{8}) (\d+) ([a-z_]+)", line).groups()
        for line in lines_of(tmp_path / "sample", "map_clsloc.txt")))
    assert sorted(wnids) == wnids_of(tmp_path / "sample")
    assert list(map(int, devkit_ids)) == list(range(1, 1001))
    assert len(set(wnids)) == len(set(names)) == 1000
    styles = [style_of(label) for label in range(1000)]
    assert len({part for style in styles[:10] for part in (style.texture, style.colour)}) == 20
    assert {style.texture for style in styles} == set(TEXTURES)
    assert all(style.colour in COLOURS and style.background in COLOURS
               and style.colour != style.background for style in styles)


def test_names_and_devkit_of_the_default_sample_stay_the_same(tmp_path, drawn):
    make_sample(tmp_path / "sample")
    digest = hashlib.sha256("".join(f"{name}\n" for name in sorted(
        digests(tmp_path / "sample"))).encode())
    for path in sorted((tmp_path / "sample" / "devkit" / "data").iterdir()):
        digest.update(path.read_bytes())
    assert digest.hexdigest() == "8d85c5169b944ddb86f5ff2ae51b64712f083b2947dfbc10beb7a4743b337f42"


@pytest.mark.parametrize("label, shape, colour, grain", [
    (0, (184, 186, 3), [229.6, 65.1, 99.2], 17.0),
    (7, (194, 319, 3), [156.6, 168.1, 35.4], 15.4),
    (123, (91, 92, 3), [219.8, 99.4, 130.3], 22.1),
    (999, (202, 180, 3), [199.5, 132.4, 40.7], 6.7)
])
def test_the_drawing_of_an_image_stays_the_same(label, shape, colour, grain):
    image = draw_image(style_of(label), np.random.default_rng(label)).astype(float)
    assert image.shape == shape
    np.testing.assert_allclose(image.mean((0, 1)), colour, atol=0.2)
    assert np.abs(np.diff(image, axis=1)).mean() == pytest.approx(grain, abs=0.2)


def test_same_arguments_same_bytes_whatever_numpy_drew_before(tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        np.random.seed(ord(name))
        make_sample(tmp_path / name, classes=3, train=2, val=6, seed=seed)
    first, second = digests(tmp_path / "a"), digests(tmp_path / "c")
    assert first == digests(tmp_path / "b")
    assert set(first.values()).isdisjoint(second.values())
    assert set(wnids_of(tmp_path / "a")).isdisjoint(wnids_of(tmp_path / "c"))
    assert labels_of(tmp_path / "a") != labels_of(tmp_path / "c")


def test_a_new_or_empty_folder_is_taken_and_one_in_use_left_alone(tmp_path, drawn):
    (tmp_path / "empty").mkdir()
    folders = [tmp_path / "empty", tmp_path / "new" / "deeper"]
    for folder in folders:
        make_sample(folder, classes=2, train=1, val=1)
    first, second = map(digests, folders)
    assert first == second
    for out in (folders[0], folders[0] / "devkit" / "data" / "map_clsloc.txt"):
        with pytest.raises(RequestError, match=rf"{out} is (not empty|a file)"):
            make_sample(out)
    assert digests(folders[0]) == first and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("arguments, named", [
    ({"classes": 1}, "classes 1:"), ({"classes": 1001}, "classes 1001:"),
    ({"train": 0}, "train 0:"), ({"val": 0}, "val 0:"), ({"seed": -1}, "seed -1:"),
    ({"layout": "tfds"}, "layout tfds:")])
def test_arguments_out_of_range_are_refused(tmp_path, arguments, named):
    with pytest.raises(RequestError, match=named):
        SampleRequest(tmp_path / "sample", **arguments)


def test_nothing_is_left_when_drawing_is_interrupted(tmp_path, monkeypatch, drawn):
    draw = arrange.draw_image

    def interrupted(style, rng):
        if len(drawn) == 3:
            raise KeyboardInterrupt
        return draw(style, rng)
    monkeypatch.setattr(arrange, "draw_image", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_sample(tmp_path / "sample", classes=2, train=3, val=1)
    assert list(tmp_path.iterdir()) == []
