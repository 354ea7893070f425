"""Which versions are installed, and whether they fit together."""

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Iterable, Iterator, Optional

from packaging.requirements import Requirement

from common.text import counted
from benchmarks.doctor.checks import Check, Verdict, check, fail, ok, warn

PROJECT = "imagenet-mindrecord"
SHOWN = ("python", "mindspore", "numpy", "pillow")
ASCEND = Path("/usr/local/Ascend")
DEVICE_NODES = Path("/dev")
# MindSpore 2.10's own list, mindspore/run_check/_check_version.py; a test compares both.
CANN_VERSIONS = ("8.2", "8.3", "8.5", "9.0", "9.1")
NPU_SMI_SECONDS = 20
# A card in the output of npu-smi info: "| 0     910B1     | OK     | …".
_CARD = re.compile(r"^\s*\|\s*\d+\s+(\S+)\s*\|\s*([A-Za-z]+)\s*\|", re.MULTILINE)


def version_checks(device: str, ranks: int) -> Iterator[Check]:
    yield packages()
    yield ascend_software()
    yield cards_of_driver(device, ranks)


@check("Python and packages")
def packages() -> Verdict:
    """Compare what is installed with the bounds of setup.cfg."""
    try:
        about = importlib.metadata.metadata(PROJECT)
        requirements = importlib.metadata.requires(PROJECT) or []
    except importlib.metadata.PackageNotFoundError:
        return warn(f"{_versions(SHOWN)}; {PROJECT} is not installed, so that its bounds are "
                    "unknown", "pip install --editable .")
    wanted = [Requirement(f"python{about['Requires-Python']}"), *(
        each for each in map(Requirement, requirements)
        if each.marker is None or each.marker.evaluate({"extra": ""}))]
    wrong = [each for each in wanted if not _is_met(each)]
    if wrong:
        return fail(f"{_versions(dict.fromkeys([*SHOWN, *(each.name for each in wrong)]))}; wanted "
                    f"is {', '.join(f'{each.name}{each.specifier}' for each in wrong)}",
                    "make setup; elsewhere: pip install --editable . with a Python that MindSpore "
                    "has wheels for")
    return ok(f"{_versions(SHOWN)}; all {len(wanted)} bounds of setup.cfg hold")


def _is_met(wanted: Requirement) -> bool:
    found = _version(wanted.name)
    return found is not None and wanted.specifier.contains(found, prereleases=True)


def _versions(names: Iterable[str]) -> str:
    return ", ".join(f"{name} {_version(name) or 'not installed'}" for name in names)


def _version(name: str) -> Optional[str]:
    if name == "python":
        return platform.python_version()
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


@check("driver and CANN")
def ascend_software(root: Path = ASCEND) -> Verdict:
    """Find the versions of the driver and of CANN, and compare CANN's with MindSpore's list."""
    driver = _field(root / "driver" / "version.info", "version")
    cann = _cann_version(root)
    found = f"driver {driver or 'not found'}, CANN {cann or 'not found'}"
    if cann is None:
        if driver is None and not _device_nodes():
            return ok(f"{found}: a host without Ascend cards")
        return fail(found, f"install CANN {' or '.join(CANN_VERSIONS)} and source its set_env.sh")
    if not cann.startswith(tuple(f"{version}." for version in CANN_VERSIONS)):
        return warn(f"{found}; MindSpore {_version('mindspore')} is made for CANN "
                    f"{', '.join(CANN_VERSIONS)}", "install one of these")
    if driver is None:
        return warn(found, f"in a container, mount {root / 'driver'} of the host")
    if "ASCEND_HOME_PATH" not in os.environ:
        return fail(f"{found}, but ASCEND_HOME_PATH is not set", "source CANN's set_env.sh")
    return ok(found)


def _cann_version(root: Path) -> Optional[str]:
    """Read it where set_env.sh points to, else where the installer puts CANN."""
    homes = [Path(os.environ["ASCEND_HOME_PATH"])] if "ASCEND_HOME_PATH" in os.environ else []
    for home in [*homes, root / "ascend-toolkit" / "latest", root / "cann"]:
        for info in sorted(home.glob("*-linux/ascend_toolkit_install.info")):
            return _field(info, "version")
    return None


def _field(path: Path, name: str) -> Optional[str]:
    """Return the value of ``name=value``, in lower or upper case, from the file, if it exists."""
    if not path.exists():
        return None
    found = re.search(rf"^{name}\s*=\s*(\S+)", path.read_text(encoding="utf-8"),
                      re.MULTILINE | re.IGNORECASE)
    return found.group(1) if found else None


def _device_nodes() -> list[Path]:
    return sorted(DEVICE_NODES.glob("davinci[0-9]*"))


@check("cards of the driver")
def cards_of_driver(device: str, ranks: int) -> Verdict:
    """Ask npu-smi for the cards and their health, unless ``device``, that of the request, is the
    CPU."""
    if device == "CPU":
        return ok("not needed with --device CPU")
    nodes = len(_device_nodes())
    if shutil.which("npu-smi") is None:
        if nodes:
            return warn(f"{counted(nodes, 'card')} in {DEVICE_NODES}, but npu-smi is not on the "
                        "PATH",
                        "in a container, mount /usr/local/bin/npu-smi of the host")
        return ok(f"no card in {DEVICE_NODES}, no npu-smi")
    printed = subprocess.run(["npu-smi", "info"], capture_output=True, text=True,
                             timeout=NPU_SMI_SECONDS).stdout
    cards = _CARD.findall(printed)
    names = ", ".join(dict.fromkeys(f"{name} ({health})" for name, health in cards))
    if any(health != "OK" for _, health in cards):
        return fail(f"{counted(len(cards), 'card')}: {names}",
                    "see npu-smi info -t health -i CARD; reset the card or report it to its vendor")
    if len(cards) < ranks:
        return fail(f"{counted(len(cards), 'card')}{': ' * bool(names)}{names}, for "
                    f"{counted(ranks, 'rank')}; npu-smi: "
                    f"{' '.join(printed.split())[:100] if not cards else 'ok'}",
                    "start fewer ranks, or give the container its cards: --device /dev/davinci0 …")
    return ok(f"{counted(len(cards), 'card')}: {names}")
