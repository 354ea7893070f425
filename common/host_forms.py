"""Files of the benchmarks on a host that the report also reads: the content of ``doctor.json`` and
of ``scale.json``."""

from dataclasses import dataclass, field
from typing import Any, Mapping, Optional

from common.forms import check_kinds, known_fields

DOCTOR_NAME, SCALE_NAME = "doctor.json", "scale.json"


@dataclass(frozen=True)
class Check:
    """One row of the doctor's table.

    Attributes:
        state: "ok", "warn" or "fail".
        finding: what was found, with its figures.
        advice: what to do; empty where nothing is to be done.
    """

    name: str
    state: str
    finding: str
    advice: str = ""


@dataclass(frozen=True)
class DoctorReport:
    """The content of ``doctor.json``; ``argv`` is the command as it was typed."""

    checks: list[Check]
    machine: dict[str, Any]
    seconds: float
    argv: Optional[list[str]] = None

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "DoctorReport":
        """Return the report; TypeError or KeyError if the values are something else."""
        checks = [Check(**known_fields(Check, each)) for each in values["checks"]]
        report = DoctorReport(**{**known_fields(DoctorReport, values), "checks": checks})
        check_kinds(report)
        return report


@dataclass(frozen=True)
class StageReport:
    """How many ``items`` a stage handled, what it found in few words, and in sentences."""

    items: int
    note: str
    findings: list[str] = field(default_factory=list)


@dataclass
class Resources:
    """What a command and all processes that it started took.

    Attributes:
        cpu_seconds: of all cores together, which other programs on the machine change little.
        peak_bytes: largest sum of their resident memory at one time; pages that processes share
            count in each.
        largest_bytes: largest resident memory of one process.
        processes: most at one time.
        open_files: most that one process had open, which is what ``ulimit -n`` limits.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    largest_bytes: int = 0
    processes: int = 0
    open_files: int = 0


@dataclass(frozen=True)
class MeasuredStage:
    name: str
    report: StageReport
    resources: Resources


@dataclass(frozen=True)
class ScaleTable:
    """The content of ``scale.json``."""

    stages: list[MeasuredStage]
    settings: dict[str, int]
    machine: dict[str, Any]
    argv: Optional[list[str]] = None

    @property
    def minutes(self) -> float:
        return sum(stage.resources.seconds for stage in self.stages) / 60

    @property
    def cpu_minutes(self) -> float:
        return sum(stage.resources.cpu_seconds for stage in self.stages) / 60

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "ScaleTable":
        """Return the table; TypeError or KeyError if the values are something else."""
        stages = [MeasuredStage(
            stage["name"], StageReport(**known_fields(StageReport, stage["report"])),
            Resources(**known_fields(Resources, stage["resources"])))
            for stage in values["stages"]]
        table = ScaleTable(**{**known_fields(ScaleTable, values), "stages": stages})
        check_kinds(table)
        return table
