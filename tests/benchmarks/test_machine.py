"""What is written of the machine beside the figures."""

from pathlib import Path

from benchmarks.table import describe_machine


def test_it_names_what_figures_depend_on(tmp_path):
    about = describe_machine(tmp_path, "Ascend")
    assert list(about) == ["processor", "cores", "memory_gib", "disk", "file_system", "device",
                           "python", "mindspore"]
    assert about["device"] == "Ascend" and about["cores"] >= 1 and all(about.values())


def test_a_folder_without_a_disk():
    assert describe_machine(Path("/proc"))["disk"] == "no block device"
    assert describe_machine(Path("/proc"))["file_system"] == "proc"
