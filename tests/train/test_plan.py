"""The plan, and what it refuses."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from common.cli import RequestError
from convert.training_proposal import FIRST_RATE, LAST_RATE, SMOKE_BATCH, small_set_flags
from train.options import parse
from train.plan import FEWEST_STEPS, check_disk, describe_plan, make_plan, plan_fields
from train.phases import Phase
from train.recipe import PRESETS, learning_rates, with_epochs
from train.source import check_same_classes, open_class_folders

ADSL = PRESETS["adsl-8p"]
IMAGENET = SimpleNamespace(images=1_281_167, image_bytes=147_000_000_000, folder="train",
                           class_names=["n0"] * 1000)


@pytest.fixture
def plan():
    return make_plan(ADSL, IMAGENET, kept_checkpoints=3)


def test_plan_of_the_seed_run(plan):
    assert (plan.steps_per_epoch, plan.global_batch, plan.epochs) == (1251, 1024, 95)
    assert (plan.steps, plan.images_left_out_per_epoch) == (95 * 1251, 1_281_167 - 1251 * 1024)
    np.testing.assert_array_equal(plan.learning_rates, learning_rates(ADSL, 1251))
    fields = plan_fields(plan)
    written = np.array(fields["epoch_learning_rates"]).astype(np.float32)
    np.testing.assert_array_equal(written, plan.learning_rates[1250::1251])  # to the last bit
    assert fields["phases"][1] == dict(epochs=35, warmup_epochs=2, peak=0.05, decay=0.95,
                                       epochs_per_decay=1)
    text = describe_plan(plan, ADSL)
    assert "1,251 steps" in text and "143 images left out" in text and "8 ranks x 128" in text
    assert ("learning rate, epochs 41 to 75: from 1e-05, 0.05 after 2 epochs of warm-up, to "
            f"{0.05 * 0.95 ** 33:.3g}; RMSProp's averages start anew") in text
    assert "adsl-8p's values from the lab's script: start of the warm-up" in text
    assert "float32 precision" in text and "147,000,000,000 bytes of images" in text
    assert sorted(plan_fields(plan)) == [
        "checkpoint_bytes", "data_bytes", "epoch_learning_rates", "epochs", "global_batch",
        "images", "images_left_out_per_epoch", "phases", "steps", "steps_per_epoch"]


@pytest.mark.parametrize("phases, epochs, line", [
    ((Phase(7, 0, 0.001, 1, 1),), 7, "learning rate, epochs 1 to 7: 0.001"),
    ((Phase(1, 0, 0.001, 1, 1),), 1, "learning rate, epoch 1: 0.001"),
    ((Phase(4, 0, 0.1, 0.5, 1),), 4, "learning rate, epochs 1 to 4: from 0.1 to 0.0125"),
    (ADSL.phases, 2, "learning rate, epochs 1 to 2: from 1e-05 to 0.08, all within the warm-up "
                     "(5 epochs to 0.2)"),
    (ADSL.phases, 6, "learning rate, epochs 1 to 6: from 1e-05, 0.2 after 5 epochs of warm-up, "
                     "to 0.2")])
def test_no_rate_is_named_that_the_run_does_not_reach(phases, epochs, line):
    recipe = with_epochs(replace(ADSL, phases=phases), epochs)
    text = describe_plan(make_plan(recipe, IMAGENET, 1), recipe)
    assert line in text.splitlines()


def test_the_bytes_are_those_of_the_conversion(records):
    plan = make_plan(replace(PRESETS["smoke"], batch_size=4), records["train"], 1)
    assert plan.data_bytes == records["train"].manifest.image_bytes < records["train"].bytes
    images = open_class_folders(records["train"].folder.parent / "images")
    assert images.image_bytes == sum(path.stat().st_size for path in images.folder.rglob("*.JPEG"))


def test_no_more_checkpoints_are_kept_than_epochs_make():
    assert (make_plan(ADSL, IMAGENET, 10**22).checkpoint_bytes
            == make_plan(ADSL, IMAGENET, 95).checkpoint_bytes)


def test_a_disk_without_room_for_the_checkpoints_is_refused(plan, tmp_path):
    assert plan.checkpoint_bytes == 5 * 3 * 4 * 42_679_816  # 3, the best one, one being written
    check_disk(tmp_path / "a" / "run", replace(plan, checkpoint_bytes=1))
    with pytest.raises(RequestError, match="run: its checkpoints take .* GB left.*--keep"):
        check_disk(tmp_path / "a" / "run", replace(plan, checkpoint_bytes=10**18))


@pytest.mark.parametrize("enough, too_many, message", [
    (dict(ranks=2, batch_size=10), dict(batch_size=11), "--batch-size 11.*at most 10"),
    (dict(ranks=21, batch_size=1), dict(ranks=22), "21 images.*22 ranks.*start fewer"),
    (dict(batch_size=4, steps_per_epoch=5), dict(steps_per_epoch=6), "--steps-per-epoch 6.*5 ste"),
])
def test_a_step_or_epoch_of_more_images_than_there_are_is_refused(records, enough, too_many,
                                                                  message):
    recipe = replace(PRESETS["smoke"], **enough)
    assert make_plan(recipe, records["train"], 1).images_left_out_per_epoch < recipe.global_batch
    with pytest.raises(RequestError, match=message):
        make_plan(replace(recipe, **too_many), records["train"], 1)


def test_a_set_of_one_class_is_refused():
    with pytest.raises(RequestError, match="train has 1 class; .* at least two"):
        make_plan(ADSL, SimpleNamespace(**{**vars(IMAGENET), "class_names": ["n0"]}), 1)


def test_other_classes_in_the_validation_set_are_refused(records, other_records):
    check_same_classes(records["train"], records["val"])
    with pytest.raises(RequestError, match="3 classes.*2.*same source"):
        check_same_classes(records["train"], other_records["val"])
    swapped = SimpleNamespace(class_names=records["val"].class_names[::-1], folder="swapped")
    with pytest.raises(RequestError, match="3 classes, swapped 3, in another order; convert both"):
        check_same_classes(records["train"], swapped)


@pytest.mark.parametrize("images", [8, 48, 300, 479, 480])
def test_what_is_proposed_for_a_small_set_gives_enough_steps(records, images):
    """With smoke's own rates, and its number of images per step at most."""
    smoke = PRESETS["smoke"]
    assert (smoke.batch_size, [f"{phase.peak}" for phase in smoke.phases]) == (
        SMOKE_BATCH, [FIRST_RATE, LAST_RATE])
    _, recipe = parse(["--records", "a", "--run", "b", "--preset", "smoke",
                       *small_set_flags(images)])
    source = SimpleNamespace(images=images, image_bytes=1, folder="a",
                             class_names=records["train"].class_names)
    plan = make_plan(recipe, source, 1)
    assert FEWEST_STEPS < 99 <= plan.steps < 150 or images == 480
    assert "warning" not in describe_plan(plan, recipe)


@pytest.mark.parametrize("batch, warned", [(10, True), (2, False)])
def test_a_run_of_few_steps_says_so(records, batch, warned):
    """Five epochs of 21 images."""
    recipe = replace(PRESETS["smoke"], batch_size=batch)
    text = describe_plan(make_plan(recipe, records["train"], 1), recipe)
    assert ("\nwarning: 10 steps in all teach a network little" in text) == warned
    example = "for example: --batch-size 7 --phases 25:0:0.001:1:1 8:0:0.0002:0.7:1"
    assert (example in " ".join(text.split())) == warned
    asked = replace(recipe, steps_per_epoch=1)
    assert "warning" not in describe_plan(make_plan(asked, records["train"], 1), asked)
