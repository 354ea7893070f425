"""The training feed: encoded images to batches of random crops.

By default uint8 and channels last: normalising and the change of layout are the network's, see
``inceptionv4.preprocess``. On the host they cost a third of the speed and make a batch four times
larger.
"""

import contextlib
import itertools
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Optional, Sequence

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
from mindspore.dataset import vision

from common import deadline
from common.cli import RequestError
from common.deadline import no_images, reading_deadline
from common.host import cores_per_rank
from common.text import one_line
from convert.records.reader import RecordSet
from convert.sources.names import IMAGE_EXTENSIONS
from inceptionv4.preprocess import InputStatistics
from train.recipe import Recipe
from train.source import ClassFolders, Source, in_class_folders

# Encoded images, 115 KB each in ImageNet: 235 MB per rank. Records were shuffled once before
# they were divided into shards, so neighbours in a file are a random lot; the buffer mixes the
# end of one file with the beginning of the next and makes other batches in each epoch.
SHUFFLE_BUFFER = 2048

# How MindSpore names a file of class folders; a sentence follows.
_DAMAGED_FILE = re.compile(r"data file is: (.+(?:{}))\. ".format(
    "|".join(map(re.escape, IMAGE_EXTENSIONS))), re.IGNORECASE)

NO_BATCH = "the feed of training images gave no batch"

# slim inception_preprocessing.py, distort_color: brightness by up to 32 of 255 levels, contrast and
# saturation by a factor of 0.5 to 1.5, hue by up to 0.2 of a turn. MindSpore's brightness is a
# factor where slim's is added.
BRIGHTNESS, CONTRAST, SATURATION, HUE = 32 / 255, 0.5, 0.5, 0.2


def workers_for(recipe: Recipe, local_ranks: int = 1) -> int:
    """Return the number of threads that decode for one rank: those asked for, or its cores."""
    return recipe.workers or cores_per_rank(local_ranks)


@dataclass(frozen=True)
class TrainingFeed:
    """The batches of one rank.

    Order and crops of an epoch depend on (recipe.seed, epoch) and the number of workers alone.
    The order is one of all images, distributed to the ranks one by one, so that step k takes the
    same images whatever the number of ranks that share its global batch (with
    ``recipe.shuffle`` "shard" only as far as the ranks' buffers mix alike).

    Attributes:
        steps: per epoch, of ``recipe.accumulate`` batches each; the images after them are left out.
        rank: 0 to recipe.ranks - 1.
        statistics: what the images are normalised with, by the network or here.
    """

    source: Source
    recipe: Recipe
    steps: int
    rank: int = 0
    statistics: InputStatistics = InputStatistics()

    @property
    def batches_per_epoch(self) -> int:
        return self.steps * self.recipe.accumulate

    def epoch(self, number: int) -> ds.Dataset:
        """Return the batches of that epoch, counted from 1.

        Returns:
            A dataset of (image, label int32 (batch_size,)); images are uint8 (batch_size, S, S, 3),
            or float32 (batch_size, 3, S, S) where ``recipe.normalize_on`` is "host".
        """
        # Cut here, not after the batches: MindSpore reads and decodes what it is given to the end.
        rows = epoch_rows(self.source, self.recipe, number, self.rank,
                          limit=self.batches_per_epoch * self.recipe.batch_size)
        rows = rows.map(_transforms(self.recipe, self.statistics), input_columns="image",
                        num_parallel_workers=workers_for(self.recipe))
        return rows.batch(self.recipe.batch_size, drop_remainder=True)

    def batches(self, number: int) -> Iterator[list[ms.Tensor]]:
        """Yield images and labels of that epoch, see ``epoch``, for the host to hand out. A feed
        that hangs ends the process.

        Raises:
            RequestError: the images cannot be read.
        """
        with self.naming_failure(), reading_deadline(NO_BATCH, _before(1)):
            batches = self.epoch(number).create_tuple_iterator(num_epochs=1)
        for place in itertools.count(1):
            with self.naming_failure(), reading_deadline(NO_BATCH, _before(place)):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    @contextlib.contextmanager
    def naming_failure(self) -> Iterator[None]:
        """Raise RequestError where MindSpore raises RuntimeError or ValueError because an image or
        a file cannot be read. What the limit on open files stopped looks alike to MindSpore."""
        try:
            yield
        except (RuntimeError, ValueError) as error:
            if isinstance(self.source, ClassFolders):
                raise _failure_in_folders(self.source.folder, error) from error
            self.source.readers(1)
            raise RequestError(
                f"the feed of training images failed ({one_line(error, 300)}); find what is "
                "damaged with: python -m convert verify --deep RECORDS") from error

    def empty_batch(self) -> tuple[ms.Tensor, ms.Tensor]:
        """Return zeros of the shapes and types that ``epoch`` gives, to compile for."""
        batch, size = self.recipe.batch_size, self.recipe.image_size
        images = (np.zeros((batch, size, size, 3), np.uint8)
                  if self.recipe.normalize_on == "device" else
                  np.zeros((batch, 3, size, size), np.float32))
        return ms.Tensor(images), ms.Tensor(np.zeros(batch, np.int32))


def _failure_in_folders(folder: Path, error: Exception) -> RequestError:
    """Return what ends a run on class folders, naming the image that MindSpore names."""
    named = _DAMAGED_FILE.search(str(error))
    what = f"{named[1]} cannot be decoded" if named else (
        f"the feed of training images failed ({one_line(error, 300)})")
    return in_class_folders(what, folder)


def _before(batch: int) -> str:
    return f"before batch {batch} of the epoch"


def wait_until_sent(queue: ds.Dataset, number: int) -> None:
    """Return when ``number`` batches of the epoch are on their way to the device.

    In sink mode a step waits for its batch on the device: if it never comes, that ends many minutes
    later, in a timeout that names no cause. So no step is started before its batch is sent.

    Args:
        queue: MindSpore's ``TransferDataset``.

    Raises:
        RuntimeError: the feed has failed.
        RequestError: no batch came for ``SECONDS_WITHOUT_IMAGES``.
    """
    start = time.monotonic()
    # An epoch's entry in send info: [epoch, batches, seconds for the first, for all].
    while sum(batches for _, batches, *_ in queue.get_send_info()) < number:
        try:
            queue.get_mbuf_queue_size()  # raises, without its cause, when the feed has failed
        except RuntimeError as error:
            raise RuntimeError(f"{_before(number)}; an [ERROR] line of MindSpore above names the "
                               "cause") from error
        if time.monotonic() - start > deadline.SECONDS_WITHOUT_IMAGES:
            raise no_images(NO_BATCH, _before(number))
        time.sleep(0.001)


def epoch_rows(source: Source, recipe: Recipe, epoch: int, rank: int = 0,
               columns: Sequence[str] = ("image", "label"), limit: Optional[int] = None
               ) -> ds.Dataset:
    """Return the rows of one rank in the order of the epoch, images still encoded.

    Args:
        columns: fields of the records; class folders have ``image`` and ``label`` alone.
        limit: number of rows, at most the rank's share of the images; by default all.
    """
    # Other epochs, and runs with neighbouring seeds, have other seeds.
    ds.config.set_seed(int(np.random.SeedSequence([recipe.seed, epoch]).generate_state(1)[0]))
    share = dict(num_shards=recipe.ranks, shard_id=rank, num_parallel_workers=workers_for(recipe))
    if isinstance(source, ClassFolders):
        rows = _folder_rows(source, share)
        return rows if limit is None else rows.take(limit)
    share["num_parallel_workers"] = source.readers(workers_for(recipe))
    if recipe.shuffle == "shard":
        return _rows_by_shard(source, list(columns), share, limit)
    with source.naming_damage():
        return ds.MindDataset(source.files, list(columns), **share, shuffle=ds.Shuffle.GLOBAL,
                              num_samples=limit)


def _rows_by_shard(source: RecordSet, columns: list[str], share: dict, limit: Optional[int]
                   ) -> ds.Dataset:
    with source.naming_damage():
        rows = ds.MindDataset(source.files, columns, **share, shuffle=ds.Shuffle.FILES)
    # MindDataset repeats rows at the end so that all ranks have equally many. Mixed in by the
    # buffer, they would be in the batches, and others left out.
    own = source.images // share["num_shards"]
    if limit is None:
        return rows.take(own).shuffle(SHUFFLE_BUFFER)
    # The first rows that leave the buffer are the same if no more than these enter it.
    return rows.take(min(own, limit + SHUFFLE_BUFFER)).shuffle(SHUFFLE_BUFFER).take(limit)


def _folder_rows(source: ClassFolders, share: dict) -> ds.Dataset:
    endings = [ending for lower in IMAGE_EXTENSIONS for ending in (lower, lower.upper())]
    rows = ds.ImageFolderDataset(
        str(source.folder), extensions=endings, shuffle=True,
        # Without it, hidden and empty folders get a number, too.
        class_indexing={name: label for label, name in enumerate(source.class_names)}, **share)
    found, expected = rows.get_dataset_size(), -(-source.images // share["num_shards"])
    if found != expected:
        raise RequestError(f"{source.folder}: MindSpore finds {found} images for each rank, the "
                           f"listing {expected}; give endings of images in lower or upper case "
                           "only, and no images outside of class folders")
    return rows


def _transforms(recipe: Recipe, statistics: InputStatistics) -> list:
    operations = [
        vision.RandomCropDecodeResize(
            recipe.image_size, scale=(recipe.min_crop_area, 1.0),
            ratio=(1 / recipe.max_crop_aspect, recipe.max_crop_aspect)),
        vision.RandomHorizontalFlip(),
    ]
    if recipe.colour_distortion:
        operations.append(vision.RandomColorAdjust(BRIGHTNESS, CONTRAST, SATURATION, HUE))
    if recipe.normalize_on == "host":
        operations += [vision.Normalize(*statistics), vision.HWC2CHW()]
    return operations
