"""Commands, digests and versions: what it takes to make the page again."""

import json
import re
import subprocess
from dataclasses import replace
from html import unescape
from pathlib import Path

from convert.records.reader import RecordSet
from convert.sources.ilsvrc import IlsvrcCheck
from evaluate.report.blocks import Commands, Table
from evaluate.report.reproduction import reproduction_section
from evaluate.report.translations import translator
from evaluate.request import RescoreRequest
from evaluate.rescore import rescore_result

T = translator("en")


def tables(section):
    return [block for block in section if isinstance(block, Table)]


def commands_of(section):
    texts = [block.text for block in section if isinstance(block, Commands)]
    return [command.replace("\\\n    ", "") for text in texts for command in text.split("\n\n")]


def test_commands_are_printed_as_they_were_typed(inputs, records):
    convert, train, one, twelve = commands_of(reproduction_section(inputs, T))
    assert convert == (
        f"python -m convert run --source SOURCE --split val --out {records.folder} --layout flat "
        f"--shards 2 --seed 0 --blacklist BLACKLIST --check decode")
    assert train == "python -m inceptionv4.launch --ranks 8 train --label-smoothing 0.2"
    assert one == "python -m evaluate --crops 1 --out 'my results'"
    assert twelve == "python -m evaluate --crops 12 --curve"
    evaluated, *_, recipe = tables(reproduction_section(inputs, T))
    assert [row for row in evaluated.rows if "sha256" not in row[0]] == [
        ["interpolation", "bicubic", "results/a-1, results/deep/a-12"],
        ["single crop", "keep", "results/a-1"]]
    assert [row[0] for row in recipe.rows] == [
        name for name in inputs.run.config if name != "argv"]


def test_a_record_sets_command_has_what_its_manifest_says(inputs, records):
    def command_of(**changes):
        manifest = replace(records.manifest, blacklist=None, seed=7, layout="class-folders",
                           options={"check": "header", "short_side": 300, "quality": 80},
                           **changes)
        sets = {records.sha256: RecordSet(Path("my records"), manifest)}
        return commands_of(reproduction_section(replace(inputs, record_sets=sets), T))[0]
    always = ("python -m convert run --source SOURCE --split val --out 'my records' --layout "
              "class-folders --shards 2 --seed 7 --check header --short-side 300 --quality 80")
    repaired = replace(records.manifest.repaired[0], reason="cut")
    assert command_of() == command_of(repaired=[repaired]) == always
    assert command_of(rejected=[repaired]) == f"{always} --on-bad skip"
    assert command_of(ilsvrc=IlsvrcCheck(False, True, None)) == f"{always} --allow-other-labels"
    for labels, class_names in ((True, True), (False, False)):
        assert command_of(ilsvrc=IlsvrcCheck(labels, class_names, None)) == always


def test_a_record_sets_command_is_printed_as_it_was_typed(inputs, records):
    typed = ["python", "-m", "convert", "run", "--source", "/my images", "--ground-truth", "a.txt"]

    def commands_with(argv):
        sets = {records.sha256: RecordSet(Path("set"), replace(records.manifest, argv=argv))}
        section = reproduction_section(replace(inputs, record_sets=sets), T)
        assert any("put together" in block for block in section if isinstance(block, str)) == (
            argv != typed)
        return commands_of(section)
    known = commands_with(typed)
    assert known[0] == "python -m convert run --source '/my images' --ground-truth a.txt"
    assert len(known) == 4
    finish = commands_with([*typed[:3], "finish", *typed[4:]])  # which makes no shard
    assert finish[0].startswith("python -m convert run --source SOURCE --split val --out set ")
    assert finish[1].startswith("python -m convert finish --source") and len(finish) == 5


def test_a_command_that_was_not_kept_is_not_made_up(inputs):
    inputs.run.config.pop("argv")
    old = [replace(item, result=replace(item.result, argv=None)) for item in inputs.evaluations]
    section = reproduction_section(replace(inputs, evaluations=old), T)
    assert len(commands_of(section)) == 1  # the record set's
    assert any("The command was not kept" in block and "results/a-1" in block and "run" in block
               for block in section if isinstance(block, str))


def test_a_shell_reads_the_pages_commands_as_they_were_typed(trial, write):
    """Those of the run, of each result, of its scores by other labels."""
    folder, ids = trial / "results" / "a-1", trial / "some.txt"
    ids.write_text("1\n2\n")
    rescore_result(RescoreRequest(folder, ids=ids))
    rescored = json.loads((folder / "rescored-some.json").read_text())["argv"]
    odd = ["python", "-m", "train", "--run", "it's $HOME/a  b", "--set", "--x=\"<é>\"", "a\nb", ""]
    config = json.loads((trial / "run" / "config.json").read_text())
    (trial / "run" / "config.json").write_text(json.dumps({**config, "argv": odd}))
    shown = unescape(re.findall("<pre>(.*?)</pre>", write(trial)[0], re.DOTALL)[1])
    words = subprocess.run(["bash", "-c", "python() { printf '%s\\0' python \"$@\"; }\n" + shown],
                           capture_output=True, check=True).stdout.decode().split("\0")[:-1]
    typed = [json.loads((trial / "results" / name / "result.json").read_text())["argv"]
             for name in ("a-1", "deep/a-12")]
    assert words == [*odd, *typed[0], *rescored, *typed[1]]
