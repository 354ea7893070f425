"""The training feed: what an epoch holds, and that it can be had again."""

from dataclasses import replace

import numpy as np
import pytest

from train.feed import seed_of_epoch, training_feed
from train.recipe import PRESETS

RECIPE = replace(PRESETS["smoke"], batch_size=4, workers=2)
STEPS = 5  # 20 of the 21 images


def epoch_of(records, recipe=RECIPE, epoch=1, steps=STEPS, rank=0):
    feed = training_feed(records["train"].files, recipe, epoch, steps, rank)
    return list(feed.create_tuple_iterator(num_epochs=1, output_numpy=True))


def same(one, other) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(a, b) for left, right in zip(one, other) for a, b in zip(left, right))


def test_batches_are_uint8_channels_last(records):
    batches = epoch_of(records)
    assert len(batches) == STEPS
    for images, labels in batches:
        assert images.shape == (4, 75, 75, 3) and images.dtype == np.uint8
        assert labels.shape == (4,) and labels.dtype == np.int32


def test_an_epoch_depends_on_seed_and_epoch_alone(records):
    first = epoch_of(records, epoch=1)
    second = epoch_of(records, epoch=2)
    assert not same(first, second)
    assert not same(first, epoch_of(records, replace(RECIPE, seed=1)))
    assert same(second, epoch_of(records, epoch=2))  # not after epoch 1 now
    assert same(first, epoch_of(records, epoch=1))


def test_a_steps_limit_takes_the_first_batches(records):
    assert same(epoch_of(records, steps=2), epoch_of(records)[:2])


def test_pictures_are_cropped_at_random_and_mirrored(records):
    whole = replace(RECIPE, min_crop_area=1.0, max_crop_aspect=2.0)
    small = replace(RECIPE, min_crop_area=0.1)
    assert not same(epoch_of(records, whole), epoch_of(records, small))


def labels_of(batches) -> list:
    return sorted(label for _, labels in batches for label in labels.tolist())


@pytest.mark.parametrize("epoch", [1, 2])
def test_ranks_share_each_global_batch_of_one_rank(records, epoch):
    alone = epoch_of(records, epoch=epoch)
    recipe = replace(RECIPE, ranks=2, batch_size=2)
    shares = [epoch_of(records, recipe, epoch, rank=rank) for rank in (0, 1)]
    for step in range(STEPS):
        assert labels_of([alone[step]]) == labels_of([share[step] for share in shares])
    assert not same(*shares)


def test_one_epoch_has_every_image_at_most_once(records):
    counts = np.bincount(labels_of(epoch_of(records, replace(RECIPE, batch_size=21), steps=1)))
    assert counts.tolist() == [7, 7, 7]


def test_seeds_of_neighbouring_runs_do_not_coincide():
    seeds = {seed_of_epoch(seed, epoch) for seed in range(20) for epoch in range(1, 21)}
    assert len(seeds) == 400
