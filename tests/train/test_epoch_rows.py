"""An epoch that is shorter than the images reads no more of them than it needs."""

from dataclasses import replace

import numpy as np
import pytest

from train import feed
from train.feed import TrainingFeed, epoch_rows
from train.recipe import PRESETS

RECIPE = replace(PRESETS["smoke"], batch_size=4, workers=2)


@pytest.mark.parametrize("shuffle", ["global", "shard"])
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("limit", [1, 4, 10])
def test_a_limit_keeps_the_first_rows_of_the_order(records, monkeypatch, shuffle, ranks, limit):
    monkeypatch.setattr(feed, "SHUFFLE_BUFFER", 3)
    recipe = replace(RECIPE, shuffle=shuffle, ranks=ranks)
    whole, cut = ([int(image_id) for image_id, in epoch_rows(
        records["train"], recipe, 1, ranks - 1, ["image_id"], rows).create_tuple_iterator(
            num_epochs=1, output_numpy=True)] for rows in (None, limit))
    assert len(whole) >= 21 // ranks and cut == whole[:limit]


@pytest.mark.parametrize("shuffle", ["global", "shard"])
def test_images_after_the_last_batch_are_not_decoded(records, monkeypatch, shuffle):
    """MindSpore would go on to the end of what it was given, at the end of each epoch."""
    decoded = []

    def decode(image):
        decoded.append(len(image))
        return np.zeros((75, 75, 3), np.uint8)
    monkeypatch.setattr(feed, "_transforms", lambda recipe, statistics: [decode])
    batches = TrainingFeed(records["train"], replace(RECIPE, shuffle=shuffle), 2).epoch(1)
    assert len(list(batches.create_tuple_iterator(num_epochs=1))) == 2
    assert len(decoded) == 2 * RECIPE.batch_size
