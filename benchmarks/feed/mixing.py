"""How well an order of images mixes: the classes of a batch, and who meets whom again."""

from typing import List, NamedTuple

import numpy as np

from convert.records.reader import RecordSet
from train.recipe import Recipe


class Mix(NamedTuple):
    """Means over an epoch's batches, and over its images."""

    classes: float  # different ones in a batch
    largest_share: float  # of a batch that its commonest class has
    met_again: float  # share of an image's batch that is in its next epoch's batch as well


def describe_mixes(records: RecordSet, batch_size: int, workers: int) -> List[str]:
    """Say for each order of the training feed how the first two epochs of one rank mix."""
    shards = f"{len(records.files)} shards of about {records.images // len(records.files)} images"
    lines = []
    for shuffle in ("global", "shard"):
        recipe = Recipe(ranks=1, batch_size=batch_size, workers=workers, shuffle=shuffle)
        mix = mix_of(_order(records, recipe, 1), _order(records, recipe, 2), batch_size)
        lines.append(f"{shuffle} order ({shards}, {len(records.class_names)} classes): "
                     f"{mix.classes:.1f} classes in a batch, the commonest with "
                     f"{mix.largest_share:.1%} of it; {mix.met_again:.2%} of an image's batch is "
                     "with it again in the next epoch")
    return lines


def _order(records: RecordSet, recipe: Recipe, epoch: int) -> np.ndarray:
    """Return int (images, 2): label and id of each image, in the order of the epoch."""
    from train.feed import epoch_rows  # loads MindSpore
    rows = epoch_rows(records, recipe, epoch, columns=("label", "image_id"))
    return np.array([[int(label), int(image_id)] for label, image_id in
                     rows.create_tuple_iterator(num_epochs=1, output_numpy=True)])


def mix_of(first: np.ndarray, second: np.ndarray, batch_size: int) -> Mix:
    """Return the mix of two epochs.

    Args:
        first, second: int (images, 2): label and id of each image, in the order of the epoch.
    """
    whole = len(first) // batch_size * batch_size
    first, second = first[:whole], second[:whole]
    counts = [np.bincount(labels) for labels in first[:, 0].reshape(-1, batch_size)]
    batches = np.arange(whole) // batch_size
    _, at_first, at_second = np.intersect1d(first[:, 1], second[:, 1], return_indices=True)
    # How many images share one batch of the first epoch and one of the second.
    together = np.unique(np.stack([batches[at_first], batches[at_second]]), axis=1,
                         return_counts=True)[1]
    met_again = np.sum(together * (together - 1)) / (whole * (batch_size - 1))
    return Mix(float(np.mean([np.count_nonzero(count) for count in counts])),
               float(np.mean([count.max() / batch_size for count in counts])), float(met_again))
