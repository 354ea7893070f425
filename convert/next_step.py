"""What to type when a record set is made or verified: the other split, the check, the training."""

from pathlib import Path
from typing import Optional

from common.cli import module_command
from convert.records.manifest import MANIFEST_NAME, Manifest

ILSVRC_CLASSES = 1000
VALIDATION, TRAINING = "val", "train"


def commands_after(folder: Path, manifest: Manifest, source: Optional[Path] = None) -> list[str]:
    """Return the commands that come next for a record set of the one split.

    The set of the other split is looked for next to it, under the name of its split.

    Args:
        source: what the set was made of just now; None: the set was verified.
    """
    other = TRAINING if manifest.split == VALIDATION else VALIDATION
    sets = {manifest.split: folder, other: folder.parent / other}
    commands = [module_command("convert", "verify", folder)] if source else []
    if (sets[other] / MANIFEST_NAME).exists():
        return [*commands, _training(sets, len(manifest.classes))]
    if source:
        commands.append(module_command("convert", "run", "--source", source, "--split", other,
                                       "--out", sets[other]))
    return commands


def _training(sets: dict[str, Path], classes: int) -> str:
    preset = "adsl-1p" if classes == ILSVRC_CLASSES else "smoke"
    return module_command("train", "--records", sets[TRAINING], "--val-records", sets[VALIDATION],
                          "--run", Path("runs", preset), "--preset", preset)
