"""The commands that made the files, their inputs, the versions used."""

import json
import shlex
from typing import Iterable, Optional, Sequence

from common.options import flag_named
from convert.records.reader import RecordSet
from evaluate.report.blocks import Block, Commands, Table
from evaluate.report.inputs import Evaluation, Inputs, RunFiles
from evaluate.report.translations import Translate

EVALUATED = {"checkpoint_sha256": "checkpoint sha256", "records_sha256": "records sha256",
             "blacklist_sha256": "blacklist sha256", "interpolation": "interpolation",
             "single_crop": "single crop"}


def reproduction_section(inputs: Inputs, t: Translate) -> list[Block]:
    blocks: list[Block] = []
    unknown = [each for each in inputs.record_sets.values() if not _is_whole(each.manifest.argv)]
    if unknown:
        blocks += [
            t("Commands of record sets are put together from their manifests: the options that "
              "decide the bytes. SOURCE stands for the images, whose digests are in the data "
              "sheet. A manifest does not hold --extensions and --ground-truth: repeat them where "
              "they were given."),
            *([t("BLACKLIST stands for the blacklist, whose digest is there, too.")]
              if any(each.manifest.blacklist for each in unknown) else []),
            Commands("\n\n".join(map(_convert, unknown)))]
    blocks += _typed(inputs, t)
    if inputs.evaluations:
        blocks.append(_evaluated(inputs.evaluations, t))
    blocks += [_versions(inputs, t), *_recipe(inputs.run, t)]
    return blocks


def _typed(inputs: Inputs, t: Translate) -> list[Block]:
    """Return the commands of the record sets, the run and the evaluations exactly as they were
    typed, or as make ran them."""
    argv: list[tuple[str, Optional[Sequence[str]]]] = [
        (f"{records.folder}", records.manifest.argv) for records in inputs.record_sets.values()
        if records.manifest.argv]
    if inputs.run and inputs.run.config:
        argv.append((f"{inputs.run.folder}", inputs.run.config.get("argv")))
    for item in inputs.evaluations:
        argv.append((item.name, item.result.argv))
        argv += [(f"{item.name}, {rescored.name}", rescored.argv) for rescored in item.rescored]
    argv += [(name, report.argv) for name, report in inputs.doctors]
    argv += [(name, table.argv) for name, table in inputs.rehearsals]
    commands = dict.fromkeys(_command(words) for _, words in argv if words)
    blocks: list[Block] = []
    if commands:
        blocks += [t("Commands as typed, or as make ran them."),
                   Commands("\n\n".join(commands))]
    unknown = [name for name, words in argv if not words]
    if unknown:
        blocks.append(t("The command was not kept (files of an older version): {names}.",
                        names=", ".join(unknown)))
    return blocks


def _is_whole(argv: Sequence[str]) -> bool:
    """Return whether the command makes the record set alone: ``finish`` puts together what others
    built."""
    return bool(argv) and ("convert", "finish") not in zip(argv, argv[1:])


def _convert(records: RecordSet) -> str:
    manifest, options = records.manifest, records.manifest.options
    words = ["python", "-m", "convert", "run", "--source", "SOURCE", "--split", manifest.split,
             "--out", records.folder, "--layout", manifest.layout]
    if "page_bytes" not in options:  # or it is a small set whose number was not asked for
        words += ["--shards", len(manifest.shards)]
    words += ["--seed", manifest.seed]
    if manifest.blacklist:
        words += ["--blacklist", "BLACKLIST"]
        if manifest.blacklist.ids_are_positions:
            words.append("--ids-are-positions")
    for name in ("check", "short_side", "quality"):
        if options.get(name) is not None:
            words += [flag_named(name), options[name]]
    if manifest.rejected:
        words += ["--on-bad", "skip"]
    if manifest.ilsvrc and manifest.ilsvrc.class_names and not manifest.ilsvrc.labels:
        words.append("--allow-other-labels")
    return _command(words)


def _command(words: Iterable[object]) -> str:
    """Return a line for each option."""
    quoted = (shlex.quote(f"{word}") for word in words)
    return " ".join(f"\\\n    {word}" if word.startswith("--") else word for word in quoted)


def _evaluated(evaluations: Sequence[Evaluation], t: Translate) -> Table:
    """Return each digest and way to cut crops once, with the results that it belongs to; then each
    file that images were scored by again."""
    names: dict[tuple[str, str], list[str]] = {}
    for kind in EVALUATED:
        for item in evaluations:
            value = getattr(item.result, kind)
            if value and (kind != "single_crop" or item.result.crops == 1):
                names.setdefault((kind, value), []).append(item.name)
    rows = [[t(EVALUATED[kind]), value, ", ".join(of)] for (kind, value), of in names.items()]
    rows += [[f"--{option} {file['path']}", file["sha256"], f"{item.name}, {rescored.name}"]
             for item in evaluations for rescored in item.rescored
             for option, file in rescored.files.items()]
    return Table([t("what"), t("value"), t("results")], rows, t("What was evaluated"),
                 left=(0, 1, 2), code=(1,), folded=True)


def _versions(inputs: Inputs, t: Translate) -> Table:
    """Return the versions, each combination once, with what was made by it."""
    folders: dict[str, list[str]] = {}
    for records in inputs.record_sets.values():
        folders.setdefault(f"mindspore {records.manifest.mindspore_version}",
                           []).append(f"{records.folder}")
    for item in inputs.evaluations:
        versions = ", ".join(f"{name} {version}" for name, version in item.result.versions.items())
        folders.setdefault(versions or t("not recorded (older version)"), []).append(item.name)
    rows = [[", ".join(of), versions] for versions, of in folders.items()]
    return Table([t("folder"), t("made by")], rows, t("Versions"), left=(0, 1))


def _recipe(run: Optional[RunFiles], t: Translate) -> list[Table]:
    if run is None or not run.config:
        return []
    rows = [[name, value if isinstance(value, str) else json.dumps(value)]
            for name, value in run.config.items() if name != "argv"]
    return [Table([t("what"), t("value")], rows, t("Values of the recipe (config.json)"),
                  left=(0, 1), code=(0,), folded=True)]
