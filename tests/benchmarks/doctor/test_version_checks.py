"""What is installed is compared with setup.cfg, CANN with MindSpore's own list."""

import importlib.metadata
import importlib.util
import re
import shutil
from pathlib import Path

import pytest

from benchmarks.doctor import version_checks
from benchmarks.doctor.version_checks import (CANN_VERSIONS, ascend_software, cards_of_driver,
                                              packages)

TOOLKIT = "package_name=Ascend-cann-toolkit\nversion={}\ninnerversion=V100R001C20SPC001B251\n"
# As npu-smi 24.1.0 prints it.
NPU_SMI = """\
+------------------------------------------------------------------------------------------------+
| npu-smi 24.1.0                   Version: 24.1.0                                               |
+---------------------------+---------------+----------------------------------------------------+
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip                      | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
+===========================+===============+====================================================+
| 0     910ProB             | OK            | 78.0        38                0    / 0             |
| 0                         | 0000:C1:00.0  | 0           2387 / 13553      18   / 32768         |
+===========================+===============+====================================================+
| 1     910ProB             | {health:13} | 75.8        38                0    / 0             |
| 0                         | 0000:81:00.0  | 0           1840 / 15665      8    / 32768         |
+===========================+===============+====================================================+
| NPU     Chip              | Process id    | Process name             | Process memory(MB)      |
+===========================+===============+====================================================+
| 0       0                 | 4711          | python                   | 20000                   |
+===========================+===============+====================================================+
"""


def install(monkeypatch, **versions):
    def version(name, known=importlib.metadata.version):
        return versions.get(name) or known(name)
    monkeypatch.setattr(version_checks.importlib.metadata, "version", version)


def test_the_versions_here_fit():
    found = packages()
    assert found.state == "ok" and "mindspore 2.10" in found.finding and "bounds" in found.finding


def test_a_version_out_of_bounds_is_named(monkeypatch):
    install(monkeypatch, numpy="2.1.0", tqdm="3.0")
    found = packages()
    assert found.state == "fail" and "tqdm 3.0" in found.finding and "joblib" not in found.finding
    assert re.search("numpy 2.1.0.*; wanted is numpy<2,>=1.26, tqdm<5,>=4.66$", found.finding)


def test_a_project_that_is_not_installed_has_no_bounds(monkeypatch):
    monkeypatch.setattr(version_checks, "PROJECT", "no-such-project")
    assert packages().state == "warn"


def test_the_list_of_cann_versions_is_mindspores():
    package = importlib.util.find_spec("mindspore").submodule_search_locations[0]
    text = (Path(package) / "run_check" / "_check_version.py").read_text("utf-8")
    listed, = re.findall(r'class AscendEnvChecker.*?self\.version = \[(.*?)\]', text, re.DOTALL)
    assert tuple(re.findall('"([^"]+)"', listed)) == CANN_VERSIONS


@pytest.mark.parametrize("driver, cann, environment, state, finding", [
    (None, None, False, "ok", "without Ascend cards"),
    ("24.1.0", None, False, "fail", "driver 24.1.0, CANN not found"),
    ("24.1.0", "8.5.0", True, "ok", "driver 24.1.0, CANN 8.5.0"),
    ("24.1.0", "8.3.RC1", False, "fail", "ASCEND_HOME_PATH is not set"),
    ("24.1.0", "8.0.0", True, "warn", "is made for CANN 8.2, 8.3"),
    (None, "9.0.RC1", True, "warn", "driver not found, CANN 9.0.RC1")])
def test_driver_and_cann(driver, cann, environment, state, finding, monkeypatch, tmp_path):
    home = tmp_path / "ascend-toolkit" / "latest"
    if driver:
        (tmp_path / "driver").mkdir()
        (tmp_path / "driver" / "version.info").write_text(f"Version={driver}\nmajor=24\n")
    if cann:
        (home / "aarch64-linux").mkdir(parents=True)
        (home / "aarch64-linux" / "ascend_toolkit_install.info").write_text(TOOLKIT.format(cann))
    monkeypatch.setattr(version_checks, "DEVICE_NODES", tmp_path)
    monkeypatch.delenv("ASCEND_HOME_PATH", raising=False)
    if environment:
        monkeypatch.setenv("ASCEND_HOME_PATH", str(home))
    found = ascend_software(tmp_path)
    assert found.state == state and finding in found.finding
    assert bool(found.advice) == (state != "ok")


@pytest.fixture
def npu_smi(monkeypatch, tmp_path):
    """Return a function that makes ``npu-smi info`` print two cards, the second of that health."""
    monkeypatch.setattr(version_checks, "DEVICE_NODES", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def write(printed: str) -> None:
        (tmp_path / "printed").write_text(printed)
        program = tmp_path / "npu-smi"
        program.write_text(f"#!/bin/sh\n[ $1 = info ] && cat {tmp_path}/printed\n")
        program.chmod(0o755)
    return write


@pytest.mark.parametrize("ranks, health, state, finding", [
    (2, "OK", "ok", "2 cards: 910ProB (OK)"),
    (2, "Warning", "fail", "2 cards: 910ProB (OK), 910ProB (Warning)"),
    (8, "OK", "fail", "2 cards: 910ProB (OK), for 8 ranks")])
def test_cards_and_their_health(ranks, health, state, finding, npu_smi):
    npu_smi(NPU_SMI.format(health=health))
    found = cards_of_driver("auto", ranks)
    assert found.state == state and found.finding.startswith(finding)
    assert cards_of_driver("CPU", ranks).state == "ok"


def test_npu_smi_that_cannot_reach_the_driver(npu_smi):
    npu_smi("dcmi model initialized failed, because the device is used. ret is -8020")
    found = cards_of_driver("auto", 1)
    assert found.state == "fail" and "ret is -8020" in found.finding


def test_cards_without_npu_smi(monkeypatch, tmp_path):
    monkeypatch.setattr(version_checks, "DEVICE_NODES", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cards_of_driver("auto", 1).state == "ok"
    (tmp_path / "davinci0").touch()
    (tmp_path / "davinci_manager").touch()
    found = cards_of_driver("auto", 1)
    assert found.state == "warn" and found.finding.startswith("1 card in")


def test_cann_is_found_where_the_installer_puts_it_in_this_order(monkeypatch, tmp_path):
    places = [tmp_path / "home", tmp_path / "ascend-toolkit" / "latest", tmp_path / "cann"]
    for place, version in zip(places, ("9.1.0", "8.5.0", "8.3.RC1")):
        (place / "x86_64-linux").mkdir(parents=True)
        (place / "x86_64-linux" / "ascend_toolkit_install.info").write_text(
            TOOLKIT.format(version))
    monkeypatch.setenv("ASCEND_HOME_PATH", str(places[0]))
    assert version_checks._cann_version(tmp_path) == "9.1.0"
    monkeypatch.delenv("ASCEND_HOME_PATH")
    assert version_checks._cann_version(tmp_path) == "8.5.0"
    shutil.rmtree(places[1])
    assert version_checks._cann_version(tmp_path) == "8.3.RC1"
    shutil.rmtree(places[2])
    assert version_checks._cann_version(tmp_path) is None


def test_cards_without_cann_are_a_fail(monkeypatch, tmp_path):
    monkeypatch.setattr(version_checks, "DEVICE_NODES", tmp_path)
    monkeypatch.delenv("ASCEND_HOME_PATH", raising=False)
    assert ascend_software(tmp_path).state == "ok"
    (tmp_path / "davinci0").touch()
    assert ascend_software(tmp_path).state == "fail"


def test_the_checks_of_versions_have_device_and_ranks(monkeypatch):
    for name in ("packages", "ascend_software", "cards_of_driver"):
        monkeypatch.setattr(version_checks, name, lambda *given, name=name: (name, *given))
    assert list(version_checks.version_checks("auto", 3)) == [
        ("packages",), ("ascend_software",), ("cards_of_driver", "auto", 3)]


def test_bounds_of_extras_do_not_count_and_a_missing_package_does(monkeypatch):
    def bounds(*requirements, python=">=3.10"):
        monkeypatch.setattr(version_checks.importlib.metadata, "metadata",
                            lambda project: {"Requires-Python": python})
        monkeypatch.setattr(version_checks.importlib.metadata, "requires",
                            lambda project: list(requirements))
        return packages()
    extra = 'no-such-package>=1; extra == "bench"'
    assert bounds(extra, "numpy>=1").finding.endswith("; all 2 bounds of setup.cfg hold")
    missing = bounds(extra, "no-such-package", "numpy>=1")
    assert missing.state == "fail" and missing.finding.endswith(
        "no-such-package not installed; wanted is no-such-package")
    monkeypatch.undo()
    monkeypatch.setattr(version_checks.importlib.metadata, "requires", lambda project: None)
    assert packages().finding.endswith("; all 1 bounds of setup.cfg hold")
    assert bounds(python=">=3.99").finding.endswith("wanted is python>=3.99")
    install(monkeypatch, numpy="1.99rc1")
    assert bounds("numpy>=1.26").state == "ok"  # a preview


def test_npu_smi_is_given_twenty_seconds(npu_smi, monkeypatch):
    npu_smi(NPU_SMI.format(health="OK"))
    run, asked = version_checks.subprocess.run, []
    monkeypatch.setattr(version_checks.subprocess, "run", lambda *given, **options: (
        asked.append((given, options)) or run(*given, **options)))
    assert cards_of_driver("auto", 2).finding == "2 cards: 910ProB (OK)"
    assert asked == [((["npu-smi", "info"],), dict(capture_output=True, text=True, timeout=20))]
    assert cards_of_driver("auto", 3).finding == "2 cards: 910ProB (OK), for 3 ranks; npu-smi: ok"
