"""The commands behind the files, the digests of what went in, the versions that computed it."""

import json
import shlex
from pathlib import Path
from typing import Iterable, Optional

from convert.records.manifest import MANIFEST_NAME
from convert.records.reader import RecordSet
from evaluate.protocols import MULTI_SCALE
from evaluate.report.content import Block, Commands, Section, Table
from evaluate.report.inputs import Evaluation, Inputs, RunFiles
from evaluate.report.texts import Translate


def reproduction_section(inputs: Inputs, say: Translate) -> Section:
    lines = [_convert(records) for records in inputs.record_sets.values()]
    if inputs.run and inputs.run.config:
        lines.append(_train(inputs.run))
    lines += [_evaluate(item, inputs.records_of(item)) for item in inputs.evaluations]
    blocks: list[Block] = [say("reproduce.lead"), Commands("\n\n".join(lines))] if lines else []
    if inputs.evaluations:
        blocks.append(_digests(inputs.evaluations, say))
    blocks += [_versions(inputs, say), *_recipe(inputs.run, say)]
    return Section("reproduce", say("reproduce.title"), blocks)


def _convert(records: RecordSet) -> str:
    manifest, options = records.manifest, records.manifest.options
    words = ["convert", "run", "--source", "SOURCE", "--split", manifest.split, "--out",
             records.folder, "--shards", len(manifest.shards), "--seed", manifest.seed]
    if manifest.blacklist:
        words += ["--blacklist", "BLACKLIST"]
    for name in ("check", "short_side", "quality"):
        if options.get(name) is not None:
            words += [f"--{name.replace('_', '-')}", options[name]]
    if manifest.rejected:
        words += ["--on-bad", "skip"]
    return _command(words)


def _train(run: RunFiles) -> str:
    config = run.config
    words = ["train"]
    if config["ranks"] > 1:
        words = ["inceptionv4.launch", "--ranks", config["ranks"], "--log-dir", f"{run.folder}-log",
                 "train"]
    words += [*_training_data(config.get("data", "RECORDS")), "--run", str(run.folder), "--preset",
              config["preset"]]
    if config.get("val_records"):
        words += ["--val-records", config["val_records"]]
    return _command(words)


def _training_data(folder: str) -> tuple[str, str]:
    """A folder that is there and is no record set holds raw images."""
    raw = Path(folder).is_dir() and not (Path(folder) / MANIFEST_NAME).exists()
    return "--images" if raw else "--records", folder


def _evaluate(item: Evaluation, records: Optional[RecordSet]) -> str:
    about = item.about
    words = ["evaluate", "--records", about["records"], "--checkpoint", about["checkpoint"],
             "--crops", about["crops"], "--out", item.folder]
    if about["crops"] == MULTI_SCALE:
        words += ["--scales", ",".join(map(str, about["scales"]))]
    if "curve" in about:
        words.append("--curve")
    if about["has_blacklist"] and records and not records.has_blacklist:
        words += ["--blacklist", "BLACKLIST"]
    return _command(words)


def _command(words: Iterable[object]) -> str:
    """A line for each option."""
    quoted = [shlex.quote(f"{word}") for word in words]
    return "python -m " + " ".join(f"\\\n    {word}" if word.startswith("--") else word
                                   for word in quoted)


def _digests(evaluations: Iterable[Evaluation], say: Translate) -> Table:
    """Each digest once, with the results it belongs to."""
    kinds = {"checkpoint_sha256": "checkpoint", "records_sha256": "reproduce.records",
             "blacklist_sha256": "reproduce.blacklist"}
    names: dict[tuple[str, str], list[str]] = {}
    for kind in kinds:
        for item in evaluations:
            if item.about.get(kind):
                names.setdefault((kind, item.about[kind]), []).append(item.name)
    rows = [[say(kinds[kind]), digest, ", ".join(of)] for (kind, digest), of in names.items()]
    return Table([say("what"), say("value"), say("reproduce.of")], rows, say("reproduce.digests"),
                 left=(0, 1, 2), code=(1,))


def _versions(inputs: Inputs, say: Translate) -> Table:
    rows = [[f"{records.folder}", f"mindspore {records.manifest.mindspore_version}"]
            for records in inputs.record_sets.values()]
    rows += [[item.name, ", ".join(f"{name} {version}" for name, version in
                                   item.about.get("versions", {}).items())
              or say("reproduce.unknown")] for item in inputs.evaluations]
    return Table([say("folder"), say("reproduce.by")], rows, say("reproduce.versions"),
                 left=(0, 1))


def _recipe(run: Optional[RunFiles], say: Translate) -> list[Table]:
    if run is None or not run.config:
        return []
    rows = [[name, value if isinstance(value, str) else json.dumps(value)]
            for name, value in run.config.items()]
    return [Table([say("what"), say("value")], rows, say("reproduce.recipe"), left=(0, 1),
                  code=(0,), folded=True)]
