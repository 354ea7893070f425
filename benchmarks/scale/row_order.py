"""The order in which training reads the rows of a record set, for all ranks of a run."""

import numpy as np

from benchmarks.feed.feed_table import Mix, mix_of
from common.cli import CheckFailed
from common.text import counted
from convert.records.reader import RecordSet
from train.recipe import Recipe

COLUMNS = ("label", "image_id")


def read_epoch(records: RecordSet, recipe: Recipe, epoch: int) -> np.ndarray:
    """Return label and image id of every row that the ranks train on in that epoch:
    int32 (ranks, steps, batch_size, 2). The ranks are read one after the other."""
    from train.feed import epoch_rows
    steps = records.images // recipe.global_batch
    ranks = []
    for rank in range(recipe.ranks):
        rows = epoch_rows(records, recipe, epoch, rank, COLUMNS).batch(
            recipe.batch_size, drop_remainder=True).take(steps)
        ranks.append([np.stack(columns, axis=1) for columns in rows.create_tuple_iterator(
            num_epochs=1, output_numpy=True)])
    return np.array(ranks, np.int32)


def left_out(records: RecordSet, order: np.ndarray) -> set[int]:
    """Return the ids of the images that are not in the epoch.

    Raises:
        CheckFailed: an id is not one of the records, an image appears twice, or more images than
            the rest of the last step are missing.
    """
    ids = order[..., 1].ravel()
    if ids.min() < 1 or ids.max() > records.images:
        raise CheckFailed(f"image ids {ids.min()} to {ids.max()} were read from {records.folder}; "
                          f"its ids are 1 to {records.images}")
    times = np.bincount(ids, minlength=records.images + 1)[1:]
    if times.max() > 1:
        raise CheckFailed(f"image id {times.argmax() + 1} of {records.folder} was read "
                          f"{times.max()} times in one epoch")
    missing = np.flatnonzero(times == 0) + 1
    ranks, _, batch_size, _ = order.shape
    expected = records.images % (ranks * batch_size)
    if len(missing) != expected:
        raise CheckFailed(f"{counted(len(missing), 'image')} of {records.folder} left out of an "
                          f"epoch, not the {expected} after its last whole step")
    return set(missing.tolist())


def describe_epochs(records: RecordSet, first: np.ndarray, second: np.ndarray) -> str:
    """Say which images two epochs leave out.

    Raises:
        CheckFailed: see ``left_out``; or both epochs leave out the same images.
    """
    out = [left_out(records, order) for order in (first, second)]
    if out[0] and out[0] == out[1]:
        raise CheckFailed(f"two epochs of {records.folder} leave out the same "
                          f"{counted(len(out[0]), 'image')}")
    return (f"no image twice; each epoch leaves out {counted(len(out[0]), 'image')}, "
            f"{len(out[0] & out[1])} of them in both")


def mix_of_ranks(first: np.ndarray, second: np.ndarray) -> Mix:
    """Return the mix of the batches of all ranks in two epochs."""
    return mix_of(first.reshape(-1, 2), second.reshape(-1, 2), first.shape[2])
