"""What docs/own-data.md says to type for images of one's own without a validation set."""

import subprocess
import textwrap
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT


def shell_lines(heading: str) -> str:
    """Return the first indented block under the heading."""
    section = (ROOT / "docs" / "own-data.md").read_text("utf-8").split(f"\n## {heading}\n")[1]
    block = next(part for part in section.split("\n\n") if part.startswith("    "))
    return textwrap.dedent(block)


@pytest.fixture
def my_images(tmp_path):
    """Three classes, named as a shell likes least, of 23, 10 and 1 images."""
    for name, images in ("a b", 23), ("-n", 10), ("$c", 1):
        (tmp_path / "my-images" / "train" / name).mkdir(parents=True)
        for number in range(images):
            (tmp_path / "my-images" / "train" / name / f" {number:02} \\n.jpg").touch()
    return tmp_path / "my-images"


def images_per_class(folder: Path) -> dict[str, int]:
    return {item.name: len(list(item.iterdir())) for item in folder.iterdir()}


def test_a_tenth_of_each_class_becomes_the_validation_set(my_images):
    done = subprocess.run(["sh", "-e", "-c", shell_lines("Without a `val/` folder")],
                          cwd=my_images.parent, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert images_per_class(my_images / "val") == {"a b": 3, "-n": 1, "$c": 1}
    assert images_per_class(my_images / "train") == {"a b": 20, "-n": 9, "$c": 0}
    names = sorted(path.name for path in (my_images / "val" / "a b").iterdir())
    assert names == [f" {number:02} \\n.jpg" for number in (0, 10, 20)]
