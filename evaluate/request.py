"""What is asked of an evaluation. Needs no MindSpore, so that a wrong argument shows at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from evaluate.protocols import VIEWS_PER_STEP, Scales


@dataclass(frozen=True)
class Request:
    """The arguments of ``python -m evaluate``.

    Attributes:
        scales: shorter sides of the 144 crops in pixels, or "paper"; None: the usual ones.
        blacklist: validation ids that mark the images of records converted without a list.
        curve: keep and score what each further square of crops changes.
        workers: threads that decode; None: this host's cores, shared out to the ranks.
    """

    records: Path
    checkpoint: Path
    out: Path
    crops: int = 1
    scales: Optional[Scales] = None
    blacklist: Optional[Path] = None
    curve: bool = False
    views_per_step: int = VIEWS_PER_STEP
    device: str = "auto"
    workers: Optional[int] = None
