"""The step: dropout's keys, training mode, precision, and one process against two ranks."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn
from tiny import CHANNELS, TinyNetwork

from inceptionv4.checkpoint import network_parameters
from train.recipe import PRESETS
from train.step import RowKeys, build_network, build_step

ROOT = Path(__file__).parents[2]
RECIPE = replace(PRESETS["smoke"], batch_size=4, dropout_keep=0.5)
SEED_RECIPE = replace(PRESETS["adsl-8p"], ranks=1, batch_size=4, image_size=75)
RATES = np.full(3, 1e-3, np.float32)


def mixed(x):
    """lowbias32 of C. Wellons on uint32."""
    x = np.asarray(x).astype(np.uint32)
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def batch(seed=0, size=4):
    rng = np.random.default_rng(seed)
    return (ms.Tensor(rng.integers(0, 256, (size, 75, 75, 3)).astype(np.uint8)),
            ms.Tensor(rng.integers(0, 3, size).astype(np.int32)))


def keys_of(rank, ranks, step, size=4, seed=9):
    return RowKeys(seed, size, rank, ranks)(ms.Tensor([step], ms.int32)).asnumpy()


def test_keys_follow_from_seed_step_and_place_in_the_global_batch():
    expected = mixed(mixed(mixed([9]) + np.uint32(5)) + np.arange(4).astype(np.uint32))
    np.testing.assert_array_equal(keys_of(0, 1, 5).view(np.uint32), expected)
    shares = [keys_of(rank, 2, 5, size=2) for rank in (0, 1)]
    np.testing.assert_array_equal(np.stack(shares, axis=1).ravel(), keys_of(0, 1, 5))


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


def test_training_without_keys_is_refused():
    network = TinyNetwork(3).set_train()
    with pytest.raises(ValueError, match="needs a key for each row"):
        network(ms.Tensor(np.zeros((2, 3, 75, 75), np.float32)))


def test_one_seed_draws_the_same_first_weights():
    drawn = []
    for seed in (1, 1, 2):
        ms.set_seed(seed)
        parameters = network_parameters(build_network(RECIPE, 3))
        drawn.append({name: value.asnumpy() for name, value in parameters.items()})
    first, again, other = drawn
    assert [name for name in first if not np.array_equal(first[name], again[name])] == []
    weights = [name for name in first if name.endswith("weight")]
    assert [name for name in weights if np.array_equal(first[name], other[name])] == []


@pytest.mark.parametrize("recipe", [RECIPE, SEED_RECIPE], ids=["smoke", "adsl-8p"])
def test_a_step_trains_all_weights_and_moves_the_averages(recipe):
    """Where the step does not put the network into training mode, they stay at 0 and 1."""
    network = TinyNetwork(3, recipe.batch_norm_decay, recipe.dropout_keep)
    before = {name: value.asnumpy().copy() for name, value in network_parameters(network).items()}
    step = build_step(recipe, network, RATES)
    losses = [float(step(*batch())) for _ in range(3)]
    after = network_parameters(network)
    assert before.keys() == after.keys()
    same = [name for name in before if np.array_equal(before[name], after[name].asnumpy())]
    assert same == []
    assert losses[-1] != losses[0]


def test_images_normalised_on_the_host_give_the_same_step():
    images, labels = batch()
    planes = (images.asnumpy().transpose(0, 3, 1, 2).astype(np.float32) - 127.5) / 127.5
    losses = []
    for recipe, pixels in ((RECIPE, images),
                           (replace(RECIPE, normalize_on="host"), ms.Tensor(planes))):
        ms.set_seed(1)
        losses.append(float(build_step(recipe, TinyNetwork(3), RATES)(pixels, labels)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_mixed_precision_multiplies_in_float16_and_keeps_float32_weights():
    losses = []
    for recipe in (RECIPE, replace(RECIPE, precision="mixed", loss_scale=128.0)):
        ms.set_seed(1)
        network = TinyNetwork(3)
        losses.append(float(build_step(recipe, network, RATES)(*batch())))
        assert all(value.dtype == ms.float32 for value in network.trainable_params())
    assert losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], rel=1e-2)


def train_on_fixed_batches(rank: int, ranks: int) -> list[float]:
    """Losses of ten steps whose global batches of 8 images are the same for any ``ranks``.

    Batch norm is frozen, since its statistics are those of a rank's share.
    """
    recipe = replace(RECIPE, batch_size=8 // ranks, ranks=ranks)
    ms.set_seed(1)
    network = TinyNetwork(3, dropout_keep=recipe.dropout_keep)
    step = build_step(recipe, network, np.full(10, 1e-2, np.float32), rank)
    for _, cell in network.cells_and_names():
        if isinstance(cell, nn.BatchNorm2d):
            cell.set_train(False)
    losses = []
    for number in range(10):
        images, labels = (part.asnumpy()[rank::ranks] for part in batch(number, 8))
        losses.append(float(step(ms.Tensor(images), ms.Tensor(labels))))
    return losses


def test_two_ranks_give_the_losses_of_one_process(tmp_path):
    alone = train_on_fixed_batches(0, 1)
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests" / "train")))
    done = subprocess.run([sys.executable, "-m", "inceptionv4.launch", "--ranks", "2", "--log-dir",
                           str(tmp_path / "log"), "test_step", str(tmp_path)], cwd=ROOT, text=True,
                          capture_output=True, env={**os.environ, "PYTHONPATH": paths})
    assert done.returncode == 0, done.stderr
    together = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    assert together[0] == together[1]
    assert max(alone) - min(alone) > 0.01
    np.testing.assert_allclose(together[0], alone, atol=1e-5)


def main() -> None:
    """One rank of the test above."""
    from inceptionv4.device import setup_device
    device = setup_device("CPU")
    losses = train_on_fixed_batches(device.rank, device.ranks)
    Path(sys.argv[1], f"{device.rank}.json").write_text(json.dumps(losses))


if __name__ == "__main__":
    main()
