"""How well an order mixes, counted by hand on tiny epochs."""

import numpy as np
import pytest

from benchmarks.feed.mixing import mix_of


def epoch(labels, ids):
    return np.stack([labels, ids], axis=1)


def test_classes_and_largest_share_of_batches():
    order = epoch([0, 0, 0, 1, 2, 3, 2, 3, 9], range(9))  # the ninth is in no whole batch
    mix = mix_of(order, order, batch_size=4)
    assert mix.classes == 2 and mix.largest_share == (3 / 4 + 2 / 4) / 2


@pytest.mark.parametrize("second, met_again", [
    ([0, 1, 2, 3], 1), ([2, 3, 1, 0], 1), ([0, 2, 1, 3], 0), ([0, 2, 3, 1], 0)])
def test_batch_fellows_of_the_next_epoch(second, met_again):
    labels = [0, 0, 0, 0]
    assert mix_of(epoch(labels, [0, 1, 2, 3]), epoch(labels, second), 2).met_again == met_again


def test_half_of_the_fellows_meet_again():
    first, second = epoch([0] * 6, range(6)), epoch([0] * 6, [0, 1, 3, 4, 5, 2])
    assert mix_of(first, second, 3).met_again == pytest.approx((2 + 2) / (6 * 2))
