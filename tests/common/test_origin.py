"""The commit of a checkout is told with its changes, and never that of a folder above it."""

import re
import subprocess

import pytest

from common import origin as module
from common.origin import commit_of, origin

GIT = ("git", "-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false")


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "file").write_text("a")
    (tmp_path / "below").mkdir()
    for words in (("init", "-q"), ("add", "file"), ("commit", "-qm", "a"),
                  ("tag", "-a", "v1", "-m", "v1")):
        subprocess.run([*GIT, "-C", tmp_path, *words], check=True)
    return tmp_path


def test_the_commit_of_a_checkout_and_whether_it_was_changed(checkout):
    head = subprocess.run([*GIT, "-C", checkout, "rev-parse", "HEAD"], check=True,
                          capture_output=True, text=True).stdout
    assert commit_of(checkout) == head[:12]
    (checkout / "new").write_text("a result")  # no file of the checkout
    assert commit_of(checkout) == head[:12]
    (checkout / "file").write_text("b")
    assert commit_of(checkout) == f"{head[:12]}-dirty"


def test_without_a_checkout_or_git_the_commit_is_unknown(checkout, monkeypatch):
    assert commit_of(checkout / "below") == ""
    monkeypatch.setenv("PATH", "")
    assert commit_of(checkout) == ""
    (checkout / "below" / ".git").write_text("gitdir: nowhere")
    monkeypatch.undo()
    assert commit_of(checkout / "below") == ""


def test_the_origin_is_that_of_this_program(monkeypatch):
    monkeypatch.setattr(module, "ROOT", "here")
    monkeypatch.setattr(module, "commit_of", {"here": "abc"}.__getitem__)
    found = origin()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", found["date"])
    assert found["commit"] == "abc" and found["host"]
