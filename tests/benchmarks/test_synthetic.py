import pytest

from benchmarks.synthetic import make_class_folders
from common.cli import RequestError


def test_images_weigh_what_imagenets_do_on_average(tmp_path):
    make_class_folders(tmp_path / "images", 40)
    sizes = [path.stat().st_size for path in tmp_path.glob("*/train/*/*.JPEG")]
    assert len(sizes) == 40 and len(set(sizes)) > 30  # other images, of other sizes
    assert 113_000 < sum(sizes) / len(sizes) < 117_000
    with pytest.raises(RequestError, match="images is left from an interrupted run"):
        make_class_folders(tmp_path / "images", 1)
