"""``python -m tests.benchmarks.doctor.quick MODULE …``: a process of the doctor with a network that
compiles in a second, and a moment for each measurement."""

import importlib
import sys

from common.cli import run_command


def main() -> None:
    module = importlib.import_module(sys.argv.pop(1))
    if module.__name__.endswith("data_checks"):
        module.SECONDS = 0.2
    if module.__name__.endswith("device_checks"):
        from benchmarks.doctor import step_checks
        from tests.train.tiny import build_tiny_network
        step_checks.build_network = build_tiny_network
    module.main()


if __name__ == "__main__":
    sys.exit(run_command(main))
