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
        return [*commands, training_command(sets[TRAINING], sets[VALIDATION],
                                            len(manifest.classes))]
    if source:
        commands.append(module_command("convert", "run", "--source", source, "--split", other,
                                       "--out", sets[other]))
    return commands


def training_command(train: Path, val: Path, classes: int, run: Optional[Path] = None,
                     ranks: int = 1) -> str:
    """Return the command of a training on the two record sets: ADSL's recipe for the number of
    classes of ImageNet, the small one for any other.

    Args:
        run: None: a folder named after the preset.
    """
    preset = "smoke" if classes != ILSVRC_CLASSES else "adsl-1p" if ranks == 1 else "adsl-8p"
    run = run or Path("runs", preset)
    words = ["--records", train, "--val-records", val, "--run", run, "--preset", preset]
    if ranks == 1:
        return module_command("train", *words)
    return module_command("inceptionv4.launch", "--ranks", ranks, "--log-dir", f"{run}-log",
                          "train", *words)
