"""Classes with words of their own, and pages of images that are not ILSVRC's."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from small import predictions_of

from convert.records.reader import RecordSet
from evaluate.report.accuracy import accuracy_section, glance_section
from evaluate.report.blocks import Commands, Table
from evaluate.report.classes import class_names, classes_section
from evaluate.report.data_sheet import data_section
from evaluate.report.gallery import gallery_section
from evaluate.report.inputs import Evaluation, Inputs
from evaluate.report.reproduction import reproduction_section
from evaluate.report.translations import translator

T = translator("en")


def tables(section):
    return [block for block in section if isinstance(block, Table)]


def test_a_class_is_shown_by_its_words_and_its_name_small(inputs):
    words = ["white grid on green", "", "crane", "crane"]
    about = replace(inputs.main.result, classes=4, class_names=["n1", "cat", "n3", "n4"],
                    class_words=words)
    predictions = predictions_of([0, 1, 2], [[1, 0], [1, 0], [3, 2]])
    of_own = Inputs(None, [Evaluation("a", about, predictions)], [], None, {}, [])
    section = classes_section(of_own, T)
    whole, pairs = tables(section)
    assert [row[0] for row in whole.rows] == ["white grid on green\nn1", "crane\nn3", "cat"]
    assert pairs.rows[0][:2] == ["white grid on green\nn1", "cat"]
    assert "white grid on green <small>n1</small>" in whole.html()
    assert "white grid on green n1 " in whole.markdown()
    assert class_names(of_own, of_own.main, T).short == [
        "white grid on green", "cat", "crane (n3)", "crane (n4)"]
    assert not any("label numbers" in block for block in section if isinstance(block, str))


def test_nothing_is_said_of_ilsvrc_or_blacklists_where_the_images_are_others(inputs, records):
    own = [replace(item, predictions=replace(item.predictions, blacklisted=np.zeros(7, bool)),
                   result=replace(item.result, has_blacklist=False, blacklist_sha256=None,
                                  sets={"full": item.result.sets["full"]}))
           for item in inputs.evaluations]
    manifest = replace(records.manifest, blacklist=None, ilsvrc_numbers=None)
    of_own = replace(inputs, evaluations=own,
                     record_sets={records.sha256: RecordSet(Path("own"), manifest)})
    for section in (glance_section, accuracy_section, classes_section, data_section,
                    reproduction_section):
        for block in section(of_own, T):
            said = block if isinstance(block, str) else block.markdown()
            assert not any(word in said for word in (
                "ILSVRC2012's", "filtered", "BLACKLIST", "blacklist")), said
    heads = tables(gallery_section(replace(of_own, record_sets={}), T))[0].heads
    assert "blacklisted" not in heads


def test_what_is_for_imagenets_size_is_not_missed(inputs, trial, write):
    page = write(trial)[0]
    assert "make doctor writes it" in page and "benchmarks scale writes it" in page
    for path in trial.rglob("result.json"):
        values = json.loads(path.read_text())
        path.write_text(json.dumps({**values, "has_blacklist": False}))
    for text in write(trial)[:2]:
        assert "doctor" not in text and "benchmarks scale" not in text
    manifest = inputs.main and next(iter(inputs.record_sets.values())).manifest
    for numbers, own in (("2012", False), (None, True)):
        records = RecordSet(Path("val"), replace(manifest, ilsvrc=None, ilsvrc_numbers=numbers))
        assert Inputs(None, [], [], None, {"": records}, []).are_own_images == own
    assert not Inputs(None, [], [], None, {}, []).are_own_images


def test_the_command_of_a_small_set_names_no_shards(inputs, records):
    """Their number was not asked for; asked for, it would give other pages."""
    manifest = replace(records.manifest, options={**records.manifest.options, "page_bytes": 1})
    sets = {records.sha256: RecordSet(Path("small"), manifest)}
    section = reproduction_section(replace(inputs, record_sets=sets), T)
    command, = [block.text for block in section if isinstance(block, Commands)][:1]
    assert "convert run" in command and "--shards" not in command
