"""What a host lets a process use."""

import subprocess
import sys

import pytest

from common import host

RAISED = ("import resource; from common.cli import run_command; run_command(lambda: None); "
          "print(resource.getrlimit(resource.RLIMIT_NOFILE))")


def test_a_command_raises_the_soft_limit_on_open_files_to_the_hard_one():
    shell = 'ulimit -Sn 100; ulimit -Hn 512; exec "$0" -c "$1"'
    assert subprocess.check_output(["bash", "-c", shell, sys.executable, RAISED],
                                   text=True) == "(512, 512)\n"


@pytest.mark.parametrize("own, sharing, quota, cores, reason", [
    (24, 1, None, 24, "each rank bound: not divided again"),
    (24, 1, "1600000 100000", 2, "all eight ranks share the quota of 16"),
    (24, 1, "1550000 100000", 2, "a quota of 15.5 is rounded up, as by joblib"),
    (24, 1, "max 100000", 24, "no quota"),
    (48, 2, None, 24, "two ranks bound to each half of a socket"),
    (192, 8, None, 24, "not bound: the ranks share all cores"),
    (4, 8, None, 1, "the whole job is bound to four cores"),
    (24, None, None, 3, "before the ranks have joined")])
def test_cores_of_one_of_eight_ranks(own, sharing, quota, cores, reason, monkeypatch, tmp_path):
    monkeypatch.setattr(host, "available_cores", lambda: own)
    monkeypatch.setattr(host, "_CGROUP", tmp_path)
    if quota:
        (tmp_path / "cpu.max").write_text(quota)
    assert host.cores_per_rank(8, sharing) == cores, reason


def test_a_quota_of_the_first_version_of_control_groups_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(host, "available_cores", lambda: 2)
    monkeypatch.setattr(host, "_CGROUP", tmp_path)
    (tmp_path / "cpu").mkdir()
    for quota, cores in (("200000", 1), ("-1", 2)):
        (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota + "\n")
        (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
        assert host.cores_per_rank(2, 1) == cores
