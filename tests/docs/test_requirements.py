"""ModelArts installs the packages that setup.cfg asks for."""

import configparser
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_pip_requirements_are_those_of_setup_cfg():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    needed = setup["options"]["install_requires"].split("\n")
    lines = (ROOT / "pip-requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        line for line in needed if line and not line.startswith("#")]
