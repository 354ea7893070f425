"""Figures keep their spread and their machine; what was not run has no number."""

import json
import os
import platform
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import table
from benchmarks.table import describe_machine, write_table
from common.forms import SpeedRow, SpeedTable

TABLE = SpeedTable("Copying", 600, "images", [SpeedRow("cp", [2.0, 1.0, 9.0]),
                                              SpeedRow("ours", [4.0]),
                                              SpeedRow("Ascend", [], "needs an Ascend card")],
                   {"cores": 2}, {"repeats": 3})


def page_of(speeds: SpeedTable, folder: Path) -> str:
    """The page without the spaces that line the columns up."""
    page = write_table(speeds, folder)
    assert (folder / "speed.md").read_text() == page
    return re.sub(" +", " ", page)


def test_medians_rates_and_ratios_are_in_the_page_and_in_the_json(tmp_path):
    page = page_of(TABLE, tmp_path / "deep" / "new")
    assert "| cp | 2 | 1–9 | 300 | 1 | |" in page
    assert "| ours | 4 | 4–4 | 150 | 2 | |" in page
    assert "| Ascend | – | – | – | – | needs an Ascend card |" in page
    assert "time, × first row" in page and "Settings: repeats 3; 600 images.\n" in page
    fields = json.loads((tmp_path / "deep" / "new" / "speed.json").read_text())
    assert fields["rows"][0]["seconds"] == [2.0, 1.0, 9.0] and fields["machine"] == {"cores": 2}
    assert [[row[name] for name in ("average_seconds", "items_per_second", "ratio_to_first")]
            for row in fields["rows"]] == [[2.0, 300.0, 1.0], [4.0, 150.0, 2.0], [None] * 3]


@pytest.mark.parametrize("ratio, warm_ratio, cold_ratio", [
    ("rate", "2", "0.25"), ("time", "0.5", "4")])
def test_ratios_are_of_times_or_of_rates_to_the_first_row_of_a_section(
        ratio, warm_ratio, cold_ratio, tmp_path):
    rows = [SpeedRow("theirs", [2.0], section="warm"), SpeedRow("ours", [1.0], section="warm"),
            SpeedRow("theirs", [2.0], section="cold"), SpeedRow("ours", [8.0], section="cold")]
    speeds = SpeedTable("Feed", 10, "images", rows, {}, {}, ratio, ["enough for 3 cards"])
    warm, cold = page_of(speeds, tmp_path).split("## cold")
    assert f"{ratio}, × first row" in warm and "\n- enough for 3 cards\n" in cold
    assert f"| ours | 1 | 1–1 | 10 | {warm_ratio} |" in warm.split("## warm")[1]
    assert f"| ours | 8 | 8–8 | 1.25 | {cold_ratio} |" in cold


def test_without_a_first_row_there_is_no_ratio_and_steps_are_in_ms(tmp_path):
    rows = [SpeedRow("theirs", [], "missing", items=4), SpeedRow("ours", [0.1, 0.2, 0.6], items=30)]
    speeds = SpeedTable("Steps", None, "images", rows, {}, {}, average="mean", per_step=True)
    page = page_of(speeds, tmp_path)
    assert "| variant | ms/step (mean) |" in page and "Settings: .\n" in page
    assert "| ours | 300 | 100–600 | 100 | – | |" in page


def test_the_machine_is_what_figures_depend_on(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.table.available_cores", lambda: 1234)
    about = describe_machine(tmp_path, "Ascend")
    assert list(about) == ["processor", "cores", "memory_gib", "disk", "file_system", "device",
                           "python", "mindspore"]
    assert about["device"] == "Ascend" and about["cores"] == 1234 and all(about.values())
    assert describe_machine(tmp_path)["device"] == "none, the host only"
    model = re.search(r"^model name\s*: *(.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    assert about["processor"] == (model[1].strip() if model else platform.machine())
    memory = int(re.search(r"MemTotal: +(\d+)", Path("/proc/meminfo").read_text())[1]) / 2 ** 20
    assert about["memory_gib"] == round(memory, 1)
    assert describe_machine(Path("/proc"))["disk"] == "no block device"
    assert describe_machine(Path("/proc"))["file_system"] == "proc"


def test_a_file_system_is_the_last_mount_of_the_longest_path(tmp_path, monkeypatch):
    tree = tmp_path / "a" / "b"
    tree.mkdir(parents=True)
    (tmp_path / "link").symlink_to(tree)
    mounts = [SimpleNamespace(mountpoint=str(point), fstype=kind) for point, kind in (
        ("/", "ext4"), (tree, "first"), (tree, "second"), (tmp_path, "xfs"),
        (tree / "c", "deeper"), (tmp_path / "a" / "bb", "another"))]
    monkeypatch.setattr(table.psutil, "disk_partitions", lambda all=False: mounts if all else [])
    assert describe_machine(tmp_path / "link")["file_system"] == "second"


def test_a_disk_is_named_with_its_model(tmp_path, monkeypatch):
    """A partition's model is that of its disk; sysfs is a stand-in."""
    disk, devices = tmp_path / "sys" / "nvme0n1", tmp_path / "block"
    (disk / "device").mkdir(parents=True)
    (disk / "device" / "model").write_text("Fast Disk   \n")
    (disk / "nvme0n1p2").mkdir()
    devices.mkdir()
    number = tmp_path.stat().st_dev
    name = f"{os.major(number)}:{os.minor(number)}"

    def path(*words):
        words = [str(word).replace("/sys/dev/block", str(devices)) for word in words]
        return Path(*words)
    monkeypatch.setattr(table, "Path", path)
    for device, shown in ((disk / "nvme0n1p2", "nvme0n1p2 Fast Disk"),
                          (disk, "nvme0n1 Fast Disk")):
        (devices / name).unlink(missing_ok=True)
        (devices / name).symlink_to(device)
        assert table._disk(tmp_path) == shown
