"""The training feed: encoded images to batches of random crops.

By default uint8 and channels last: normalising and the change of layout are the network's, see
``inceptionv4.Preprocess``. On the host they cost a third of the speed and make a batch four times
larger.
"""

import os
from typing import Sequence

import mindspore.dataset as ds
import numpy as np
from mindspore.dataset import vision

from common.cli import RequestError
from convert.sources.listing import IMAGE_EXTENSIONS
from inceptionv4.preprocess import INCEPTION_MEAN, INCEPTION_STD
from train.recipe import Recipe
from train.source import ClassFolders, Source

# Of encoded images, 115 KB each in ImageNet: 235 MB for a rank. Records were shuffled once before
# they were cut into shards, so neighbours in a file are a random lot; the buffer mixes the ends of
# one file with the beginning of the next and makes other batches of them in each epoch.
SHUFFLE_BUFFER = 2048

# slim inception_preprocessing.py, distort_color: brightness by up to 32 of 255 levels, contrast and
# saturation by a factor of 0.5 to 1.5, hue by up to 0.2 of a turn. MindSpore's brightness is a
# factor where slim's is added.
BRIGHTNESS, CONTRAST, SATURATION, HUE = 32 / 255, 0.5, 0.5, 0.2


def workers_for(recipe: Recipe, local_ranks: int = 1) -> int:
    """Threads that decode for one rank: those asked for, or this host's cores shared out among
    its ranks."""
    return recipe.workers or max(1, len(os.sched_getaffinity(0)) // local_ranks)


def seed_of_epoch(seed: int, epoch: int) -> int:
    """A 32-bit seed for that epoch; epochs of runs with neighbouring seeds do not coincide."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def training_feed(source: Source, recipe: Recipe, epoch: int, steps: int, rank: int = 0
                  ) -> ds.Dataset:
    """The batches of one epoch for one rank, in an order and with crops that depend on
    (recipe.seed, epoch) and the number of workers alone.

    The order is one of all images, dealt out to the ranks one by one, so that step k takes the
    same images whatever the number of ranks that share its global batch (with
    ``recipe.shuffle`` "shard" only as far as the ranks' buffers mix alike).

    Args:
        epoch: from 1.
        steps: batches to give; the images behind them are left out.
        rank: 0 to recipe.ranks - 1.

    Returns:
        A dataset of (image, label int32 (batch_size,)); images are uint8 (batch_size, S, S, 3), or
        float32 (batch_size, 3, S, S) where ``recipe.normalize_on`` is "host".
    """
    workers = workers_for(recipe)
    feed = epoch_rows(source, recipe, epoch, rank)
    feed = feed.map(_transforms(recipe), input_columns="image", num_parallel_workers=workers)
    return feed.batch(recipe.batch_size, drop_remainder=True).take(steps)


def epoch_rows(source: Source, recipe: Recipe, epoch: int, rank: int = 0,
               columns: Sequence[str] = ("image", "label")) -> ds.Dataset:
    """The rows of one rank in the order of the epoch, images still encoded.

    Args:
        columns: of the records; class folders have ``image`` and ``label`` alone.
    """
    ds.config.set_seed(seed_of_epoch(recipe.seed, epoch))
    share = dict(num_shards=recipe.ranks, shard_id=rank, num_parallel_workers=workers_for(recipe))
    if isinstance(source, ClassFolders):
        return _folder_rows(source, share)
    if recipe.shuffle == "shard":
        rows = ds.MindDataset(source.files, list(columns), shuffle=ds.Shuffle.FILES, **share)
        return rows.shuffle(SHUFFLE_BUFFER)
    return ds.MindDataset(source.files, list(columns), shuffle=ds.Shuffle.GLOBAL, **share)


def _folder_rows(source: ClassFolders, share: dict) -> ds.Dataset:
    endings = [ending for lower in IMAGE_EXTENSIONS for ending in (lower, lower.upper())]
    rows = ds.ImageFolderDataset(
        str(source.folder), extensions=endings, shuffle=True,
        # By itself it numbers hidden and empty folders, too.
        class_indexing={name: label for label, name in enumerate(source.class_names)}, **share)
    there, expected = rows.get_dataset_size(), -(-source.images // share["num_shards"])
    if there != expected:
        raise RequestError(f"{source.folder}: a rank's share is {there} images to MindSpore, "
                           f"{expected} by the listing; give endings of images in lower or upper "
                           "case only, and no images outside of class folders")
    return rows


def _transforms(recipe: Recipe) -> list:
    operations = [
        vision.RandomCropDecodeResize(
            recipe.image_size, scale=(recipe.min_crop_area, 1.0),
            ratio=(1 / recipe.max_crop_aspect, recipe.max_crop_aspect)),
        vision.RandomHorizontalFlip(),
    ]
    if recipe.colour_distortion:
        operations.append(vision.RandomColorAdjust(BRIGHTNESS, CONTRAST, SATURATION, HUE))
    if recipe.normalize_on == "host":
        operations += [vision.Normalize(INCEPTION_MEAN, INCEPTION_STD), vision.HWC2CHW()]
    return operations
