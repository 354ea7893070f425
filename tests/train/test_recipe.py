"""The learning rate at every phase edge, and the presets as the seed report has them."""

from dataclasses import replace

import numpy as np
import pytest

from common.cli import RequestError
from train.recipe import PRESETS, Phase, learning_rates, with_epochs

STEPS = 1251  # 1,281,167 images at 1,024 per step
SEED = PRESETS["adsl-8p"]


def by_epoch(recipe, steps=STEPS):
    return learning_rates(recipe, steps).reshape(recipe.epochs, steps)


def test_one_rate_for_each_step():
    rates = learning_rates(SEED, STEPS)
    assert rates.shape == (95 * STEPS,) and rates.dtype == np.float32


@pytest.mark.parametrize("epoch, first, last", [
    (1, 0.2 / (5 * STEPS), 0.2 / 5), (2, 0.2 * (STEPS + 1) / (5 * STEPS), 0.2 * 2 / 5),
    (5, 0.2 * (4 * STEPS + 1) / (5 * STEPS), 0.2),
    (6, 0.2, 0.2), (7, 0.2, 0.2), (8, 0.188, 0.188), (9, 0.188, 0.188), (10, 0.17672, 0.17672),
    (39, 0.2 * 0.94 ** 16, 0.2 * 0.94 ** 16), (40, 0.2 * 0.94 ** 17, 0.2 * 0.94 ** 17),
    (41, 0.05 / (2 * STEPS), 0.025), (42, 0.05 * (STEPS + 1) / (2 * STEPS), 0.05),
    (43, 0.05, 0.05), (44, 0.0475, 0.0475), (75, 0.05 * 0.95 ** 32, 0.05 * 0.95 ** 32),
    (76, 0.002 / (2 * STEPS), 0.001), (77, 0.002 * (STEPS + 1) / (2 * STEPS), 0.002),
    (78, 0.002, 0.002), (79, 0.0019, 0.0019), (95, 0.002 * 0.95 ** 17, 0.002 * 0.95 ** 17),
])
def test_rate_at_phase_edges(epoch, first, last):
    rates = by_epoch(SEED)[epoch - 1]
    np.testing.assert_allclose([rates[0], rates[-1]], [first, last], rtol=1e-6)


def test_rate_within_an_epoch_is_a_stair_or_a_rise():
    rates = by_epoch(SEED)
    rising = [epoch for epoch in range(1, 96) if (np.diff(rates[epoch - 1]) > 0).all()]
    assert rising == [1, 2, 3, 4, 5, 41, 42, 76, 77]
    level = [epoch for epoch in range(1, 96) if np.ptp(rates[epoch - 1]) == 0]
    assert sorted(rising + level) == list(range(1, 96))


def test_last_warm_up_step_has_the_peak_exactly():
    assert by_epoch(SEED)[4, -1] == np.float32(0.2)


def test_rates_follow_the_global_batch_unless_scaling_is_off():
    one_card = PRESETS["adsl-1p"]
    assert (SEED.global_batch, one_card.global_batch) == (1024, 32)
    np.testing.assert_allclose(by_epoch(one_card, 7), by_epoch(SEED, 7) * 32 / 1024, rtol=1e-6)
    np.testing.assert_array_equal(by_epoch(replace(one_card, scale_lr=False), 7),
                                  by_epoch(SEED, 7))
    half = replace(SEED, ranks=4)
    np.testing.assert_allclose(by_epoch(half, 7), by_epoch(SEED, 7) / 2, rtol=1e-6)


def test_smoke_rates_do_not_depend_on_the_batch():
    smoke = PRESETS["smoke"]
    np.testing.assert_array_equal(learning_rates(smoke, 5),
                                  learning_rates(replace(smoke, batch_size=2), 5))


@pytest.mark.parametrize("epochs", [1, 3, 5, 6, 40, 41, 43, 95])
def test_a_shortened_run_has_the_rates_of_its_epochs(epochs):
    shortened = with_epochs(SEED, epochs)
    np.testing.assert_array_equal(learning_rates(shortened, 3), by_epoch(SEED, 3)[:epochs].ravel())


def test_a_prolonged_run_continues_down_the_last_staircase():
    longer = by_epoch(with_epochs(SEED, 97), 3)
    np.testing.assert_array_equal(longer[:95], by_epoch(SEED, 3))
    np.testing.assert_allclose(longer[96], 0.002 * 0.95 ** 19, rtol=1e-6)


def test_a_phase_without_warm_up_starts_at_its_peak():
    rates = learning_rates(replace(PRESETS["smoke"], phases=(Phase(2, 0, 0.5, 0.1, 1),)), 2)
    np.testing.assert_allclose(rates, [0.5, 0.5, 0.05, 0.05], rtol=1e-6)


def test_values_of_the_seed_report():
    assert (SEED.optimizer, SEED.decay, SEED.epsilon, SEED.momentum) == ("rmsprop", 0.9, 1.0, 0.0)
    assert (SEED.ranks, SEED.batch_size, SEED.label_smoothing) == (8, 128, 0.1)
    assert (SEED.image_size, SEED.epochs) == (299, 95)


def test_the_defaults_are_those_of_the_network():
    from inceptionv4 import network  # the recipe repeats them: --help needs no MindSpore
    assert SEED.batch_norm_decay == network.BATCH_NORM_DECAY
    assert SEED.dropout_keep == network.DROPOUT_KEEP
    replace(SEED, image_size=network.SMALLEST_IMAGE)
    with pytest.raises(RequestError, match="--image-size"):
        replace(SEED, image_size=network.SMALLEST_IMAGE - 1)


@pytest.mark.parametrize("name, value", [
    ("batch_size", 0), ("epsilon", 0.0), ("decay", 1.5), ("momentum", -0.1), ("seed", -1),
    ("label_smoothing", float("nan")), ("loss_scale", 0.5), ("dropout_keep", 0.0),
    ("min_crop_area", 1.5), ("max_crop_aspect", 0.9), ("workers", -1), ("steps_per_epoch", -1)])
def test_a_value_out_of_range_is_named(name, value):
    with pytest.raises(RequestError, match=f"--{name.replace('_', '-')} {value}"):
        replace(SEED, **{name: value})


@pytest.mark.parametrize("phase", [
    Phase(0, 0, 0.1, 0.9, 1), Phase(2, -1, 0.1, 0.9, 1), Phase(2, 0, 0.0, 0.9, 1),
    Phase(2, 0, float("nan"), 0.9, 1), Phase(2, 0, 0.1, 1.1, 1), Phase(2, 0, 0.1, 0.9, 0),
    Phase(2, 0, 0.1, 0.0, 1), Phase(2, 0, float("inf"), 0.9, 1)])
def test_a_phase_out_of_range_is_named(phase):
    with pytest.raises(RequestError, match="--phases"):
        replace(SEED, phases=(SEED.phases[0], phase))
