"""What ``result.md`` says, and next to which results published figures stand."""

from dataclasses import replace

import pytest
from small import four_images

from evaluate.result_page import FILTERED, FULL, notes, published_part, result_page
from evaluate.results import Curve, CurveErrors, Score, score


def test_the_page_shows_the_table_lined_up_the_digests_the_scales_and_the_speed(planned):
    page = result_page(replace(planned, sets=score(four_images())))
    assert "# Accuracy, 144 crops of 75 pixels" in page
    for text in ("c" * 64, "d" * 64, "80, 88, 96, 112", "| full ", "| filtered |", "a.ckpt",
                 "4 images/s per rank on 2 ranks, 25.0 % of the time waiting for data"):
        assert text in page
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert len(lines) == 4
    assert len({tuple(where for where, letter in enumerate(line) if letter == "|")
                for line in lines}) == 1
    assert "75.00 (30.06-95.44)" in lines[2]


@pytest.mark.parametrize("change, marked, said", [
    ({}, True, None),
    ({"has_blacklist": False}, False, None),  # own images
    ({"has_blacklist": False, "has_ilsvrc_names": True}, False,
     "converted without a blacklist .*only the full set"),
    ({}, False, "marks none of these images: only the full set"),
    ({"classes": 5}, True, "With 5 classes the five best are all of them")])
def test_what_a_reader_has_to_know_is_said(planned, change, marked, said):
    found = notes(replace(planned, sets=score(four_images(marked)), **change))
    assert len(found) == (2 if said else 1)
    assert said is None or said.split(" .*")[0] in found[1]


@pytest.mark.parametrize("classes, shown", [(5, False), (6, True)])
def test_five_classes_or_fewer_have_no_top_5_error(planned, classes, shown):
    curve = Curve([1], {"full": CurveErrors([1.0], [0.0])})
    page = result_page(replace(planned, classes=classes, curve=curve,
                               sets=score(four_images(True))))
    for column in ("| top-5 error |", "| top-5 correct |", "| full top-5 |"):
        assert (column in " ".join(page.split())) == shown


def ilsvrc_scores(full=FULL, filtered=FILTERED):
    def scored(images):
        return Score(images, 0, 0, 18.0, 4.0, (17.0, 19.0), (3.0, 5.0))
    return {"full": scored(full), "filtered": scored(filtered)}


@pytest.fixture
def ilsvrc(planned):
    return replace(planned, image_size=299, is_ilsvrc=True, blacklist_is_ilsvrc=True,
                   sets=ilsvrc_scores())


@pytest.mark.parametrize("crops, full, filtered", [
    (1, {"mindcv"}, {"Inception-v4 paper"}), (12, {"Inception-v4 paper"}, set()),
    (144, {"Inception-v4 paper", "original report"}, {"original report"})])
def test_published_figures_stand_next_to_the_same_set_and_crops(ilsvrc, crops, full, filtered):
    lines = published_part(replace(ilsvrc, crops=crops))[2].splitlines()[2:]
    for name, sources in (("full", full), ("filtered", filtered)):
        there = [line.split("|")[5].strip() for line in lines if line.startswith(f"| {name} ")]
        assert {text.split(" (")[0].split(",")[0] for text in there} - {"this result"} == sources
        assert bool(sources) == ("this result" in there)


@pytest.mark.parametrize("change", [
    {"is_ilsvrc": False}, {"image_size": 224}, {"crops": 10},
    {"sets": ilsvrc_scores(full=FULL - 1, filtered=48_237)}])
def test_no_published_figure_stands_next_to_another_set(ilsvrc, change):
    said, = filter(None, published_part(replace(ilsvrc, **change)))
    assert "published" in said.lower() and "|" not in said


def test_nothing_is_said_of_ilsvrc_next_to_own_images(planned):
    page = result_page(replace(planned, has_blacklist=False, sets=score(four_images(False))))
    assert "| full " in page
    assert not any(word in page for word in ("ILSVRC", "blacklist", "ublished", "filtered"))


def test_a_list_that_is_not_ilsvrcs_makes_no_comparable_set(ilsvrc):
    lines = published_part(replace(ilsvrc, blacklist_is_ilsvrc=False))[2]
    assert "| full " in lines and "| filtered" not in lines


def test_the_papers_single_crop_has_a_note_on_its_authors_crop(planned):
    result = replace(planned, crops=1, scales=[342], image_size=299, is_ilsvrc=True,
                     blacklist_is_ilsvrc=True, sets={"filtered": replace(
                         score(four_images())["full"], images=FILTERED)})
    assert "--single-crop squash does as they do" in result_page(result)
    assert "is taken as in the code" in result_page(replace(result, single_crop="squash"))
    assert "87.5 %" not in result_page(replace(result, crops=12))
