"""The plan, and what it refuses."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from common.cli import RequestError
from train.plan import check_disk, check_validation, describe_plan, make_plan, plan_fields
from train.recipe import PRESETS, learning_rates

IMAGENET = SimpleNamespace(images=1_281_167, bytes=147_000_000_000, folder="train",
                           class_names=["n0"] * 1000)


def test_plan_of_the_seed_run():
    recipe = PRESETS["adsl-8p"]
    plan = make_plan(recipe, IMAGENET, kept_checkpoints=3)
    assert (plan.steps_per_epoch, plan.global_batch, plan.epochs) == (1251, 1024, 95)
    assert plan.steps == 95 * 1251 and plan.left_out == 1_281_167 - 1251 * 1024
    np.testing.assert_array_equal(plan.learning_rates, learning_rates(recipe, 1251))


def test_plan_says_what_it_leaves_out_and_the_peaks():
    text = describe_plan(make_plan(PRESETS["adsl-8p"], IMAGENET, 3), PRESETS["adsl-8p"])
    assert "1,251 steps" in text and "143 images left out" in text and "8 ranks x 128" in text
    assert ("learning rate, epochs 41 to 75: from 2e-05, 0.05 after 2 epochs of warm-up, to "
            f"{0.05 * 0.95 ** 32:.3g}") in text
    assert "float32 precision" in text and "147,000,000,000 bytes" in text


def test_a_disk_without_room_for_the_checkpoints_is_refused(tmp_path):
    plan = make_plan(PRESETS["adsl-8p"], IMAGENET, 3)
    assert plan.checkpoint_bytes == 5 * 3 * 4 * 42_679_816  # 3, the best one, one being written
    check_disk(tmp_path / "a" / "run", replace(plan, checkpoint_bytes=1))
    with pytest.raises(RequestError, match="run: its checkpoints take .* GB left.*--keep"):
        check_disk(tmp_path / "a" / "run", replace(plan, checkpoint_bytes=10**18))


def test_rates_survive_the_file_to_the_last_bit():
    plan = make_plan(PRESETS["adsl-8p"], IMAGENET, 3)
    written = np.array(plan_fields(plan)["learning_rates"], np.float64).astype(np.float32)
    np.testing.assert_array_equal(written, plan.learning_rates)


def test_a_batch_larger_than_a_ranks_share_is_refused(records):
    recipe = replace(PRESETS["smoke"], ranks=2, batch_size=10)
    assert make_plan(recipe, records["train"], 1).steps_per_epoch == 1
    with pytest.raises(RequestError, match="--batch-size 11.*at most 10"):
        make_plan(replace(recipe, batch_size=11), records["train"], 1)


def test_more_ranks_than_images_are_refused(records):
    recipe = replace(PRESETS["smoke"], ranks=22, batch_size=1)
    with pytest.raises(RequestError, match="21 images.*22 ranks.*start fewer"):
        make_plan(recipe, records["train"], 1)


def test_more_steps_than_images_are_refused(records):
    recipe = replace(PRESETS["smoke"], batch_size=4)
    assert make_plan(replace(recipe, steps_per_epoch=5), records["train"], 1).left_out == 1
    with pytest.raises(RequestError, match="--steps-per-epoch 6.*5 steps"):
        make_plan(replace(recipe, steps_per_epoch=6), records["train"], 1)


def test_other_classes_in_the_validation_set_are_refused(records, other_records):
    check_validation(records["train"], None)
    check_validation(records["train"], records["val"])
    with pytest.raises(RequestError, match="3 classes.*2.*same source"):
        check_validation(records["train"], other_records["val"])
    swapped = SimpleNamespace(class_names=records["val"].class_names[::-1], folder="swapped")
    with pytest.raises(RequestError, match="3 classes, swapped 3; convert both"):
        check_validation(records["train"], swapped)
