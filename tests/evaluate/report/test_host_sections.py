"""The doctor's checks and the rehearsal's stages, from the files that the benchmarks write."""

import json
from dataclasses import replace

import pytest

from evaluate.report.blocks import Facts, Figures, LeftOut, Table
from evaluate.report.host_sections import doctor_section, scale_section
from evaluate.report.inputs import read_inputs
from evaluate.report.translations import translator

T = translator("en")
DOCTOR = {"argv": ["python", "-m", "benchmarks", "doctor"], "seconds": 9.5, "machine": {"cores": 2},
          "checks": [{"name": "mindspore", "state": "ok", "finding": "2.10.0", "advice": ""},
                     {"name": "cores", "state": "warn", "finding": "2", "advice": "more"},
                     {"name": "disk", "state": "fail", "finding": "full", "advice": "make room"}]}
SCALE = {"stages": [
    {"name": "verify", "report": {"items": 5000, "note": "every file", "findings": ["All well."]},
     "resources": {"seconds": 90.0, "cpu_seconds": 120.0, "peak_bytes": 3 << 30,
                   "largest_bytes": 1 << 30, "processes": 4, "open_files": 1234}},
    {"name": "plan", "report": {"items": 1, "note": ""}, "resources": {"seconds": 0}}],
         "settings": {"images": 5000}, "machine": {"cores": 2}}


def read(trial):
    return read_inputs(trial / "run", trial / "results", [], T)


def write_json(path, values):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(values))


def test_what_the_doctor_warns_of_comes_first_and_the_worst_of_it_on_top(trial):
    write_json(trial / "run-doctor" / "doctor.json", DOCTOR)
    inputs = read(trial)
    assert [name for name, _ in inputs.doctors] == [f"{trial}/run-doctor"]
    facts, advised, every, about = doctor_section(inputs, T)
    assert isinstance(facts, Facts) and [fact.value for fact in facts.facts] == ["1", "1", "1"]
    assert advised.rows == [["disk", "failed", "full", "make room"],
                            ["cores", "warning", "2", "more"]]
    assert [row[:2] for row in every.rows] == [
        ["mindspore", "ok"], ["cores", "warning"], ["disk", "failed"]] and every.is_folded
    assert about == f"Machine: cores 2. From {trial}/run-doctor."


def test_a_host_without_a_warning_has_one_table(trial):
    write_json(trial / "results" / "host" / "doctor.json",
               {**DOCTOR, "checks": DOCTOR["checks"][:1]})
    inputs = read(trial)
    assert [name for name, _ in inputs.doctors] == ["results/host"]
    assert [type(block) for block in doctor_section(inputs, T)] == [Facts, Table, str]


def test_the_rehearsal_has_a_bar_and_a_row_for_each_stage(trial):
    write_json(trial / "results" / "scale" / "scale.json", SCALE)
    charts, table, *closing = scale_section(read(trial), T)
    assert isinstance(charts, Figures)
    assert table.rows == [
        ["verify", "90.0", "120.0", "56", "3.00", "1.00", "4", "1,234", "every file"],
        ["plan", "0.0", "0.0", "–", "0.00", "0.00", "0", "0", ""]]
    assert closing == ["All stages together: 1.5 minutes, 2.0 minutes of CPU.", "All well.",
                       "Machine: cores 2. Settings: images 5000. From results/scale."]


@pytest.mark.parametrize("name, values", [
    ("doctor.json", {"checks": [{"name": "a"}]}), ("doctor.json", {**DOCTOR, "seconds": "9"}),
    ("scale.json", {}), ("scale.json", {**SCALE, "stages": [{"name": "a", "report": 1}]})])
def test_another_file_of_that_name_is_noted(trial, name, values):
    write_json(trial / "results" / name, values)
    inputs = read(trial)
    note, = inputs.notes
    assert note == (f"{trial}/results/{name} is no {name} of this program and was not used.")


def test_without_such_files_the_sections_say_what_writes_them(inputs):
    with pytest.raises(LeftOut, match="make doctor writes it"):
        doctor_section(inputs, T)
    with pytest.raises(LeftOut, match="benchmarks scale writes it"):
        scale_section(replace(inputs, rehearsals=()), T)


def test_the_page_has_both_sections_and_their_command(trial, write):
    write_json(trial / "run" / "doctor.json", DOCTOR)
    write_json(trial / "results" / "scale" / "scale.json", SCALE)
    page, markdown_copy, _ = write(trial)
    for text in (page, markdown_copy):
        assert "make room" in text and "open files of one" in text
        assert "python -m benchmarks doctor" in text
