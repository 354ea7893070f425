import contextlib
import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from benchmarks import synthetic
from benchmarks.synthetic import make_class_folders, make_folders_and_records
from common.cli import RequestError


def test_images_weigh_what_imagenets_do_on_average(tmp_path):
    make_class_folders(tmp_path / "images", 40)
    sizes = [path.stat().st_size for path in tmp_path.glob("*/train/*/*.JPEG")]
    assert len(sizes) == 40 and len(set(sizes)) > 30  # other images, of other sizes
    assert 113_000 < sum(sizes) / len(sizes) < 117_000
    with pytest.raises(RequestError, match="images is left from an interrupted run"):
        make_class_folders(tmp_path / "images", 1)


@pytest.mark.parametrize("images, sizes", [(10, [4, 4, 2]), (5, [2, 2, 1]), (1, [1])])
def test_classes_are_of_the_size_of_imagenets_or_two(images, sizes, tmp_path, monkeypatch):
    """And what is written again is the images in turn."""
    seeds, done, encode = [], [], synthetic._encode

    @contextlib.contextmanager
    def bar(total, *words):
        assert total == images
        yield SimpleNamespace(update=done.append)
    monkeypatch.setattr(synthetic, "progress_bar", bar)
    monkeypatch.setattr(synthetic, "IMAGES_PER_CLASS", 4)
    monkeypatch.setattr(synthetic, "DISTINCT", 3)
    monkeypatch.setattr(synthetic, "_encode", lambda rng: (
        seeds.append(rng) or f"image {len(seeds)}".encode()))
    make_class_folders(tmp_path / "a" / "images", images)
    names = [f"n{label:08d}" for label, size in enumerate(sizes) for _ in range(size)]
    written = {path.relative_to(tmp_path / "a" / "images" / "train").as_posix(): path.read_bytes()
               for path in (tmp_path / "a").glob("images/train/*/*")}
    assert written == {f"{name}/{name}_{number}.JPEG": f"image {number % 3 + 1}".encode()
                       for number, name in enumerate(names)}
    assert len(seeds) == min(3, images) and sum(done) == images
    pixels = np.asarray(Image.open(io.BytesIO(encode(np.random.default_rng([0, 0])))))
    assert pixels.shape == (375, 500, 3) and pixels.std() > 50


def test_records_are_of_the_same_folders_with_those_workers(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(synthetic, "convert", asked.append)
    make_folders_and_records(tmp_path / "data", 3, 5)
    request, = asked
    assert (request.source, request.split, request.out, request.workers) == (
        tmp_path / "data", "train", tmp_path / "data" / "records", 5)
    assert len(list((tmp_path / "data" / "train").glob("*/*"))) == 3
