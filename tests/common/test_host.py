"""What a host lets a process use."""

import subprocess
import sys


def test_a_command_raises_the_soft_limit_on_open_files_to_the_hard_one():
    script = ("import resource\nfrom common.cli import run_command\nrun_command(lambda: None)\n"
              "print(resource.getrlimit(resource.RLIMIT_NOFILE))")
    shell = 'ulimit -Sn 100; ulimit -Hn 512; exec "$0" -c "$1"'
    assert subprocess.check_output(["bash", "-c", shell, sys.executable, script],
                                   text=True) == "(512, 512)\n"
