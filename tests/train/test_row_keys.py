"""Dropout's keys: from seed, step and place of the image to the masks."""

from dataclasses import replace

import mindspore as ms
import numpy as np
import pytest
from small_step import RATES, RECIPE, LinearNetwork, batch, numpy_loss
from tiny import CHANNELS, TinyNetwork

from train.step import RowKeys, TrainStep


def mixed(x):
    """lowbias32 of C. Wellons on uint32."""
    x = np.asarray(x).astype(np.uint32)
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def keys_of(rank, ranks, step, size=4, seed=9):
    return RowKeys(seed, size, rank, ranks)(ms.Tensor([step], ms.int32)).asnumpy()


def test_keys_follow_from_seed_step_and_place_in_the_global_batch():
    expected = mixed(mixed(mixed([9]) + np.uint32(5)) + np.arange(4).astype(np.uint32))
    np.testing.assert_array_equal(keys_of(0, 1, 5).view(np.uint32), expected)
    shares = [keys_of(rank, 2, 5, size=2) for rank in (0, 1)]
    np.testing.assert_array_equal(np.stack(shares, axis=1).ravel(), keys_of(0, 1, 5))


class RecordsKeys(LinearNetwork):
    """Its loss shows the keys it got: the sum of their lowest bits is added to one logit."""

    def construct(self, x: ms.Tensor, keys: ms.Tensor) -> ms.Tensor:
        logits = 0 * self.classifier(x.mean((2, 3)))
        return logits + (keys % 1000).astype(ms.float32)[:, None] / 1000 * ms.Tensor([1.0, 0, 0])


@pytest.mark.parametrize("rank", [0, 1])
def test_the_network_gets_the_keys_of_its_step_and_rank(rank):
    """Two ranks' keys in one process: the step is built as of one rank, its keys as of ``rank``."""
    step = TrainStep(replace(RECIPE, seed=9), RecordsKeys(3), RATES, rank)
    for number in (0, 1):
        images, labels = batch(number)
        keys = RowKeys(9, 4, rank, 1)(ms.Tensor([number], ms.int32)).asnumpy()
        logits = np.zeros((4, 3))
        logits[:, 0] = keys % 1000 / 1000
        expected = numpy_loss(logits, labels.asnumpy(), 0.0)[0]
        np.testing.assert_allclose(float(step(images, labels)[0]), expected, rtol=1e-5)


def test_masks_drop_the_share_that_is_asked_for_and_differ():
    network = TinyNetwork(3, dropout_keep=0.5)
    network.dropout.set_train()
    rows = ms.Tensor(np.ones((5000, CHANNELS), np.float32))
    masks = [network.dropout(rows, ms.Tensor(keys_of(0, 1, step, 5000))).asnumpy()
             for step in (1, 2)]
    for mask in masks:
        assert set(np.unique(mask)) == {0.0, 2.0}
        assert abs((mask > 0).mean() - 0.5) < 0.01
        assert np.abs((mask > 0).mean(axis=0) - 0.5).max() < 0.04  # every feature alike
    assert abs((masks[0] == masks[1]).mean() - 0.5) < 0.01
