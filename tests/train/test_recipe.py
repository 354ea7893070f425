"""The learning rate at every phase edge, the presets as the original report has them, the command
line: every value of the recipe a flag."""

import json
import os
import re
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest

from common.cli import RequestError
from inceptionv4 import SMALLEST_IMAGE
from train.phases import Phase
from train.options import ABOUT_A_RUN, TrainRequest, parse, train_parser
from train.recipe import PRESETS, SOURCES, Recipe, learning_rates, with_epochs

STEPS = 1251  # 1,281,167 images at 1,024 per step
ADSL = PRESETS["adsl-8p"]
NEEDED = ("--records", "r", "--run", "x", "--preset", "smoke")


def by_epoch(recipe, steps=STEPS):
    return learning_rates(recipe, steps).reshape(recipe.epochs, steps)


def recipe_of(*flags: str) -> Recipe:
    return parse([*NEEDED, *flags])[1]


def rates_of_the_script(epochs, warmup_epochs, peak, decay, every):
    """The rule of the lab's script, step by step as a job of its own computes it."""
    rates = []
    for step in range(epochs * STEPS):
        if step < warmup_epochs * STEPS:
            rate = 1e-5 + (peak - 1e-5) * step / (warmup_epochs * STEPS)
        elif step % (every * STEPS) == 0:
            rate = rates[-1] * decay
        rates.append(rate)
    return rates


def test_each_step_has_the_rate_of_the_script():
    expected = [*rates_of_the_script(40, 5, 0.2, 0.94, 2),
                *rates_of_the_script(35, 2, 0.05, 0.95, 1),
                *rates_of_the_script(20, 2, 0.002, 0.95, 1)]
    rates = learning_rates(ADSL, STEPS)
    assert rates.dtype == np.float32 and rates.shape == (118_845,)
    np.testing.assert_allclose(rates, expected, rtol=2e-5)


def test_the_staircase_is_counted_from_the_beginning_of_the_phase():
    rates = by_epoch(ADSL)
    rising = [epoch for epoch in range(1, 96) if (np.diff(rates[epoch - 1]) > 0).all()]
    assert rising == [1, 2, 3, 4, 5, 41, 42, 76, 77]
    level = [epoch for epoch in range(1, 96) if np.ptp(rates[epoch - 1]) == 0]
    assert sorted(rising + level) == list(range(1, 96))
    falls = [epoch for epoch in range(6, 96) if rates[epoch - 1, 0] < rates[epoch - 2, -1]]
    assert falls == [*range(7, 42, 2), *range(43, 77), *range(78, 96)]
    np.testing.assert_allclose(rates[[0, 40, 75], 0], 1e-5)  # each phase starts there
    assert rates[5, 0] == rates[4, -1] == np.float32(0.2 - (0.2 - 1e-5) / (5 * STEPS))


def test_the_optimizer_restarts_with_the_later_phases():
    assert ADSL.first_epochs == [1, 41, 76]
    assert [epoch for epoch in range(1, 96) if ADSL.restarts_optimizer_at(epoch)] == [41, 76]
    shorter = with_epochs(ADSL, 50)
    assert [epoch for epoch in range(1, 51) if shorter.restarts_optimizer_at(epoch)] == [41]
    without = recipe_of("--preset", "adsl-8p", "--no-restart-optimizer")
    assert not without.restarts_optimizer_at(41)


def test_rates_follow_the_global_batch_unless_scaling_is_off():
    one_card = PRESETS["adsl-1p"]
    assert (ADSL.global_batch, one_card.global_batch) == (1024, 32)
    np.testing.assert_allclose(by_epoch(one_card, 7), by_epoch(ADSL, 7) * 32 / 1024, rtol=1e-6)
    np.testing.assert_allclose(by_epoch(replace(ADSL, ranks=4), 7), by_epoch(ADSL, 7) / 2,
                               rtol=1e-6)
    np.testing.assert_array_equal(by_epoch(replace(one_card, scale_lr=False), 7),
                                  by_epoch(ADSL, 7))


@pytest.mark.parametrize("epochs", [1, 3, 5, 6, 40, 41, 43, 95])
def test_a_shortened_run_has_the_rates_of_its_epochs(epochs):
    shortened = with_epochs(ADSL, epochs)
    np.testing.assert_array_equal(learning_rates(shortened, 3), by_epoch(ADSL, 3)[:epochs].ravel())


def test_a_prolonged_run_continues_down_the_last_staircase():
    longer = by_epoch(with_epochs(ADSL, 97), 3)
    np.testing.assert_array_equal(longer[:95], by_epoch(ADSL, 3))
    np.testing.assert_allclose(longer[96], longer[94] * 0.95 ** 2, rtol=1e-6)


def test_a_phase_without_warm_up_starts_at_its_peak():
    rates = learning_rates(replace(PRESETS["smoke"], phases=(Phase(2, 0, 0.5, 0.1, 1),)), 2)
    np.testing.assert_allclose(rates, [0.5, 0.5, 0.05, 0.05], rtol=1e-6)


def test_values_of_the_original_report():
    assert (ADSL.optimizer, ADSL.decay, ADSL.epsilon, ADSL.momentum) == ("rmsprop", 0.9, 1.0, 0.0)
    assert (ADSL.ranks, ADSL.batch_size, ADSL.label_smoothing) == (8, 128, 0.1)
    assert (ADSL.image_size, ADSL.epochs) == (299, 95)


def test_values_of_the_paper_and_its_authors_code():
    paper = PRESETS["paper"]
    assert (paper.optimizer, paper.decay, paper.epsilon, paper.momentum) == ("rmsprop", 0.9, 1.0,
                                                                             0.9)
    assert (paper.label_smoothing, paper.weight_decay) == (0.1, 4e-5)
    assert (paper.min_crop_area, paper.max_crop_aspect, paper.colour_distortion) == (
        0.05, 1.33, True)
    rates = by_epoch(paper, 3)
    np.testing.assert_allclose(rates[:, 0], 0.045 * 0.94 ** (np.arange(160) // 2), rtol=1e-6)
    assert (np.ptp(rates, axis=1) == 0).all() and SOURCES.keys() == PRESETS.keys()


def test_the_preset_for_a_cpu_ends_at_low_rates():
    """So that its weights, and batch norm's averages, have settled when it is evaluated."""
    smoke = PRESETS["smoke"]
    assert smoke.optimizer == "adam" and not smoke.scale_lr
    np.testing.assert_allclose(by_epoch(smoke, 2), np.repeat(
        [[1e-3], [1e-3], [1e-3], [2e-4], [8e-5]], 2, axis=1), rtol=1e-6)


def test_the_network_takes_no_smaller_images():
    replace(ADSL, image_size=SMALLEST_IMAGE)
    with pytest.raises(RequestError, match="--image-size"):
        replace(ADSL, image_size=SMALLEST_IMAGE - 1)


@pytest.mark.parametrize("name, value", [
    ("batch_size", 0), ("epsilon", 0.0), ("decay", 1.5), ("momentum", -0.1), ("seed", -1),
    ("label_smoothing", float("nan")), ("loss_scale", 0.5), ("dropout_keep", 0.0),
    ("min_crop_area", 1.5), ("max_crop_aspect", 0.9), ("workers", -1), ("steps_per_epoch", -1),
    ("weight_decay", float("inf")), ("weight_decay", 1e39), ("loss_scale", 1e39),
    ("loss_scale", 2.0 ** 25), ("max_crop_aspect", 1e300), ("image_size", 100_000), ("decay", 1.0),
    ("momentum", 1.0), ("batch_norm_decay", 1.0), ("warmup_start", float("inf"))])
def test_a_value_out_of_range_is_named(name, value):
    with pytest.raises(RequestError, match=re.escape(f"--{name.replace('_', '-')} {value}: ")):
        replace(ADSL, **{name: value})


@pytest.mark.parametrize("phase", [
    Phase(0, 0, 0.1, 0.9, 1), Phase(2, -1, 0.1, 0.9, 1), Phase(2, 0, 0.0, 0.9, 1),
    Phase(2, 0, float("nan"), 0.9, 1), Phase(2, 0, 0.1, 1.1, 1), Phase(2, 0, 0.1, 0.9, 0),
    Phase(2, 0, 0.1, 0.0, 1), Phase(2, 0, float("inf"), 0.9, 1), Phase(2, 0, 1e39, 1, 1),
    Phase(2, 1, 9e-6, 0.9, 1)])
def test_a_phase_out_of_range_is_named(phase):
    with pytest.raises(RequestError, match="--phases"):
        replace(ADSL, phases=(ADSL.phases[0], phase))


def test_a_request_has_these_defaults():
    assert parse(NEEDED) == (
        TrainRequest(Path("x"), records=Path("r"), images=None, val_records=None, resume=False,
                     device="auto", sink=None, sink_size=100, keep=3, dry_run=None,
                     preset="smoke", epochs=None),
        PRESETS["smoke"])


@pytest.mark.parametrize("words, scale", [
    ((), 1.0), (("--precision", "float16"), "dynamic"), (("--precision", "mixed"), 1.0),
    (("--precision", "float16", "--loss-scale", "1024"), 1024.0), (("--precision", "hf32"), 1.0),
    (("--loss-scale", "dynamic"), "dynamic")])
def test_float16_scales_its_loss_as_large_as_it_can(words, scale):
    assert parse([*NEEDED, *words])[1].loss_scale == scale


@pytest.mark.parametrize("value", ["much", "0.5", "nan"])
def test_a_loss_scale_that_is_none_is_named(value):
    with pytest.raises(RequestError, match=f"--loss-scale {value}: give "):
        parse([*NEEDED, "--loss-scale", value])


def test_flags_fill_the_request():
    words = ("--images", "i", "--run", "x", "--val-records", "v", "--resume", "--device", "CPU",
             "--no-sink", "--sink-size", "7", "--keep", "2", "--dry-run", "4", "--preset", "smoke",
             "--init", "c.ckpt")
    assert parse(words)[0] == TrainRequest(
        Path("x"), None, Path("i"), Path("v"), Path("c.ckpt"), True, "CPU", False, 7, 2, 4, "smoke")
    assert parse([*NEEDED, "--dry-run"])[0].dry_run == 0  # as many ranks as the preset


def config_file(folder, **changes) -> Path:
    """The config of a run of adsl-1p's recipe with other phases."""
    values = {**asdict(PRESETS["adsl-1p"]), "phases": [asdict(Phase(3, 1, 0.1, 0.9, 1))],
              **dict.fromkeys(ABOUT_A_RUN), "data": "images", "val_records": "v", **changes}
    (folder / "config.json").write_text(json.dumps(
        {name: value for name, value in values.items() if value != "none"}))
    return folder / "config.json"


def test_a_config_repeats_its_run_and_flags_override_it(tmp_path):
    words = ["--run", "x", "--config", str(config_file(tmp_path))]
    run = replace(PRESETS["adsl-1p"], phases=(Phase(3, 1, 0.1, 0.9, 1),))
    request, recipe = parse(words)
    assert (request.images, request.records, request.val_records, recipe) == (
        Path("images"), None, Path("v"), run)
    request, recipe = parse([*words, "--records", "r", "--seed", "5", "--epochs", "2"])
    assert (request.images, request.records) == (None, Path("r"))
    assert recipe == replace(with_epochs(run, 2), seed=5)
    words[-1] = str(config_file(tmp_path, init="a.ckpt"))
    assert parse(words)[0].init == Path("a.ckpt")
    request, _ = parse([*words, "--init", "b.ckpt", "--val-records", "w"])
    assert (request.init, request.val_records) == (Path("b.ckpt"), Path("w"))
    assert (request.images, request.records) == (Path("images"), None)
    request, _ = parse([*words, "--images", "i"])
    assert (request.images, request.records) == (Path("i"), None)


@pytest.mark.parametrize("changes, words", [
    ({"warmup_start": "none"}, "config.json has no 'warmup_start': another version"),
    ({"of_later": 1}, "config.json has the unknown key 'of_later'"),
    ({"preset": "other"}, "config.json: 'preset' cannot be 'other'"),
    ({"batch_size": "8"}, "'batch_size' cannot be '8'"), ({"seed": -1}, "--seed -1"),
    ({"phases": [{"epochs": "x"}]}, "'phases' cannot be"), ({"loss_scale": "x"}, "'loss_scale'"),
    ({"phases": []}, r"'phases' cannot be \[\]"), ({"data": None}, "'data' cannot be None"),
    ({"val_records": 5}, "'val_records' cannot be 5"), ({"init": ["a.ckpt"]}, "'init' cannot be")])
def test_a_config_of_another_version_or_with_another_value_is_refused(tmp_path, changes, words):
    with pytest.raises(RequestError, match=words):
        parse(["--run", "x", "--config", str(config_file(tmp_path, **changes))])


def test_a_config_and_a_preset_are_not_given_together(tmp_path):
    with pytest.raises(RequestError, match="--preset smoke: --config .* give one of both"):
        parse([*NEEDED, "--config", str(config_file(tmp_path))])


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_comes_unchanged(name):
    assert recipe_of("--preset", name) == PRESETS[name] and PRESETS[name].preset == name


def test_help_names_every_value_and_what_it_is_in_each_preset():
    text = " ".join(train_parser().format_help().split())
    assert all(f"--{item.name.replace('_', '-')}" in text for item in fields(Recipe)
               if item.name != "ranks")
    assert "images per batch on each rank (adsl-8p: 128, adsl-1p: 32, paper: 32, smoke: 32)" in text
    assert "(default: float32)" in text and "(default: the preset's)" in text
    assert "--resume" in text and "(default: 100)" in text
    assert "Train Inception-v4 on records." in text and "--epochs N" in text
    group = text.index("recipe: each flag overrides a value of the preset")
    assert text.rindex("--keep KEEP") < group < text.rindex("--epochs N")
    with pytest.raises(SystemExit):
        parse(["--version"])


def test_flags_override_the_preset():
    given = recipe_of("--preset", "adsl-1p", "--batch-size", "4", "--no-scale-lr", "--optimizer",
                      "adam", "--momentum", "0.9", "--no-restart-optimizer", "--weight-decay",
                      "4e-5", "--seed", "7")
    assert given == replace(PRESETS["adsl-1p"], batch_size=4, scale_lr=False, optimizer="adam",
                            restart_optimizer=False, momentum=0.9, weight_decay=4e-5, seed=7)
    given = recipe_of("--phases", "40:5:0.2:0.94:2", "35:2:0.05:0.95:1", "--epochs", "42")
    assert given.phases == (Phase(40, 5, 0.2, 0.94, 2), Phase(2, 2, 0.05, 0.95, 1))
    assert recipe_of("--epochs", "9").phases[-1] == replace(PRESETS["smoke"].phases[-1], epochs=6)


@pytest.mark.parametrize("flags", [
    ("--preset", "adsl-9p"), ("--epochs", "0"), ("--image-size", "74"), ("--phases", "40:5:0.2"),
    ("--phases", "40:5:x:1:1"), ("--phases", "1.5:0:1:1:1"), ("--decay", "nan"),
    ("--optimizer", "sgd"), ("--batch-size", "many"), ("--ranks", "2"), ("--keep", "0"),
    ("--sink-size", "0"), ("--device", "GPU"), ("--dry-run", "-1"), ("--workers", "99999"),
    ("--images", "b")])
def test_a_wrong_flag_is_named(flags):
    named = f"{flags[0]}.*{re.escape(flags[1])}|(unrecognized arguments:|argument) {flags[0]}"
    with pytest.raises(RequestError, match=named):
        recipe_of(*flags)


def test_a_word_that_is_no_flag_is_named_and_every_core_may_decode():
    for words, said in ((["smoke"], "'smoke' is no flag"), ([], "--run"),
                        ([*NEEDED, "--nonsense"], r"see: python -m train --help\)$")):
        with pytest.raises(RequestError, match=said):
            parse(words)
    assert recipe_of("--workers", str(os.cpu_count())).workers == os.cpu_count()


def test_class_folders_have_no_shards_to_shuffle():
    with pytest.raises(RequestError, match="--shuffle shard"):
        parse(["--images", "i", "--run", "x", "--preset", "smoke", "--shuffle", "shard"])


def test_the_presets_are_named_where_none_is_given():
    with pytest.raises(RequestError, match="--preset is missing: give one of adsl-8p, adsl-1p"):
        parse(NEEDED[:-2])


def test_the_values_of_rmsprop_are_refused_for_adam():
    """Adam divides by the root of an average that starts at 0."""
    for flags, named in ((("--momentum", "0"), "--momentum 0.0"), (("--decay", "0"), "--decay 0.0"),
                         (("--preset", "adsl-8p", "--decay", "0.999"),
                          "--momentum 0.0, --restart-optimizer of preset adsl-8p")):
        with pytest.raises(RequestError, match=f"--optimizer adam: {named}.*--no-restart-optimize"):
            recipe_of("--optimizer", "adam", *flags)
