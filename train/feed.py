"""The training feed: records to batches of random crops, uint8 and channels last.

Normalising and the change of layout are the network's, see ``inceptionv4.Preprocess``: on the
host they cost a third of the speed and make a batch four times larger.
"""

import os

import mindspore.dataset as ds
import numpy as np
from mindspore.dataset import vision

from train.recipe import Recipe


def workers_for(recipe: Recipe) -> int:
    """Threads that decode for one rank: those asked for, or this host's cores shared out."""
    return recipe.workers or max(1, len(os.sched_getaffinity(0)) // recipe.ranks)


def seed_of_epoch(seed: int, epoch: int) -> int:
    """A 32-bit seed for that epoch; epochs of runs with neighbouring seeds do not coincide."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def training_feed(files: list[str], recipe: Recipe, epoch: int, steps: int,
                  rank: int = 0) -> ds.Dataset:
    """The batches of one epoch for one rank, in an order and with crops that depend on
    (recipe.seed, epoch) and the number of workers alone.

    The order is one permutation of all records, dealt out to the ranks one by one, so that
    step k takes the same images whatever the number of ranks that share its global batch.

    Args:
        files: the record set's data files, in order.
        epoch: from 1.
        steps: batches to give; the records behind them are left out.
        rank: 0 to recipe.ranks - 1.

    Returns:
        A dataset of (image uint8 (batch_size, S, S, 3), label int32 (batch_size,)).
    """
    ds.config.set_seed(seed_of_epoch(recipe.seed, epoch))
    workers = workers_for(recipe)
    feed = ds.MindDataset(files, columns_list=["image", "label"], shuffle=True,
                          num_shards=recipe.ranks, shard_id=rank, num_parallel_workers=workers)
    feed = feed.map(_random_crop(recipe), input_columns="image", num_parallel_workers=workers)
    return feed.batch(recipe.batch_size, drop_remainder=True).take(steps)


def _random_crop(recipe: Recipe) -> list:
    return [
        vision.RandomCropDecodeResize(
            recipe.image_size, scale=(recipe.min_crop_area, 1.0),
            ratio=(1 / recipe.max_crop_aspect, recipe.max_crop_aspect)),
        vision.RandomHorizontalFlip(),
    ]
