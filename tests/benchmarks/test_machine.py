"""What is written of the machine beside the figures."""

from pathlib import Path

from benchmarks import machine


def test_it_names_what_figures_depend_on(tmp_path):
    about = machine.describe_machine(tmp_path, "Ascend")
    assert list(about) == ["processor", "cores", "memory_gib", "disk", "file_system", "device",
                           "python", "mindspore"]
    assert about["device"] == "Ascend" and about["cores"] >= 1 and all(about.values())


def test_a_folder_without_a_disk():
    assert machine.describe_machine(Path("/proc"))["disk"] == "no block device"
    assert machine.describe_machine(Path("/proc"))["file_system"] == "proc"
