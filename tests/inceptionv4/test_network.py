"""The network against the figures of arXiv 1602.07261 and against small NumPy formulas."""

import inspect
import math

import mindspore as ms
import numpy as np
import pytest

from inceptionv4.checkpoint import network_parameters
from inceptionv4.network import Branches, ConvBlock, InceptionV4, _average_pool

PAPER_PARAMETERS = 42_679_816  # trainable, at 1,000 classes
CLASSES, DECAY = 7, 0.75  # of the fixture ``network``


def images(side: int, count: int = 1) -> ms.Tensor:
    random = np.random.default_rng(side)
    return ms.Tensor(random.uniform(-1, 1, (count, 3, side, side)).astype(np.float32))


def test_parameters_and_defaults(network):
    trainable = sum(parameter.size for parameter in network.trainable_params())
    assert trainable + (1000 - CLASSES) * (1536 + 1) == PAPER_PARAMETERS
    assert inspect.signature(InceptionV4).parameters["num_classes"].default == 1000
    assert inspect.signature(InceptionV4).parameters["batch_norm_decay"].default == 0.9997


def test_shapes_of_every_stage_at_299(network, pynative):
    x = network.stem(images(299))
    assert x.shape == (1, 384, 35, 35)
    assert network.inception_a[0](x).shape == (1, 384, 35, 35)
    x = network.reduction_a(x)
    assert x.shape == (1, 1024, 17, 17)
    assert network.inception_b[0](x).shape == (1, 1024, 17, 17)
    x = network.reduction_b(x)
    assert x.shape == (1, 1536, 8, 8)
    assert network.inception_c[0](x).shape == (1, 1536, 8, 8)


@pytest.mark.parametrize("height, width, side", [(75, 75, (1, 1)), (76, 139, (1, 3))])
def test_small_and_oblong_images(network, pynative, height, width, side):
    x = images(139)[:, :, :height, :width]
    assert network.features(x).shape == (1, 1536, *side)
    assert network(x).shape == (1, CLASSES)


@pytest.mark.parametrize("stage, blocks, expected", [
    ("stem", 1, [  # figure 3, with the long convolutions in the order of the published weights
        (32, 3, 3, 3), (32, 32, 3, 3), (64, 32, 3, 3), (96, 64, 3, 3),
        (64, 160, 1, 1), (96, 64, 3, 3),
        (64, 160, 1, 1), (64, 64, 1, 7), (64, 64, 7, 1), (96, 64, 3, 3),
        (192, 192, 3, 3)]),
    ("inception_a", 4, [  # figure 4
        (96, 384, 1, 1), (64, 384, 1, 1), (96, 64, 3, 3),
        (64, 384, 1, 1), (96, 64, 3, 3), (96, 96, 3, 3), (96, 384, 1, 1)]),
    ("reduction_a", 1, [  # figure 7; table 1 for k, l, m, n
        (384, 384, 3, 3), (192, 384, 1, 1), (224, 192, 3, 3), (256, 224, 3, 3)]),
    ("inception_b", 7, [  # figure 5
        (384, 1024, 1, 1), (192, 1024, 1, 1), (224, 192, 1, 7), (256, 224, 7, 1),
        (192, 1024, 1, 1), (192, 192, 7, 1), (224, 192, 1, 7), (224, 224, 7, 1), (256, 224, 1, 7),
        (128, 1024, 1, 1)]),
    ("reduction_b", 1, [  # figure 8
        (192, 1024, 1, 1), (192, 192, 3, 3),
        (256, 1024, 1, 1), (256, 256, 1, 7), (320, 256, 7, 1), (320, 320, 3, 3)]),
    ("inception_c", 3, [  # figure 6
        (256, 1536, 1, 1), (384, 1536, 1, 1), (256, 384, 1, 3), (256, 384, 3, 1),
        (384, 1536, 1, 1), (448, 384, 3, 1), (512, 448, 1, 3), (256, 512, 1, 3), (256, 512, 3, 1),
        (256, 1536, 1, 1)])])
def test_convolutions_of_the_figures(network, stage, blocks, expected):
    """(outputs, inputs, height, width) of each, in the order of the branches."""
    assert [parameter.shape for name, parameter in getattr(network, stage).parameters_and_names()
            if name.endswith("conv.weight")] == expected * blocks


def test_names_stay_when_the_network_becomes_part_of_another_cell():
    block = ConvBlock(0.9, 3, 4, 1)
    before = list(network_parameters(block))
    ms.nn.SequentialCell([block])
    assert list(network_parameters(block)) == before
    assert block.conv.weight.name == "0.conv.weight"


def test_branches_join_channels_in_order(pynative):
    joined = Branches(ms.nn.Identity(), ms.nn.ReLU())(-ms.ops.ones((1, 2, 1, 1)))
    assert joined.asnumpy().ravel().tolist() == [-1, -1, 0, 0]


def test_average_pool_leaves_the_padding_out(pynative):
    x = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3) ** 2
    found = _average_pool()(ms.Tensor(x)).asnumpy()[0, 0]
    assert found[0, 0] == pytest.approx((0 + 1 + 9 + 16) / 4)
    assert found[1, 1] == pytest.approx(204 / 9, rel=1e-6)  # the squares of 0 to 8
    assert found[2, 1] == pytest.approx((9 + 16 + 25 + 36 + 49 + 64) / 6, rel=1e-6)


@pytest.mark.parametrize("decay", [0.9, 0.9997])
def test_batch_norm_decay_is_the_share_that_stays(pynative, decay):
    block = ConvBlock(decay, 2, 3, 1).set_train(True)
    x = images(8, count=4)[:, :2]
    convolved = block.conv(x).asnumpy()
    block(x)
    mean = convolved.mean((0, 2, 3))
    variance = convolved.var((0, 2, 3), ddof=1)
    np.testing.assert_allclose(block.bn.moving_mean.asnumpy(), (1 - decay) * mean,
                               rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(block.bn.moving_variance.asnumpy(),
                               decay + (1 - decay) * variance, rtol=1e-5)


def test_decay_reaches_every_batch_norm(network):
    """MindSpore keeps the other share."""
    assert [1 - cell.momentum for _, cell in network.cells_and_names()
            if isinstance(cell, ms.nn.BatchNorm2d)] == [DECAY] * 149


def test_batch_norm_epsilon(pynative):
    block = ConvBlock(0.9, 1, 1, 1).set_train(False)
    block.conv.weight.set_data(ms.ops.ones((1, 1, 1, 1)))
    block.bn.moving_variance.set_data(ms.ops.zeros(1))
    output = block(ms.ops.ones((1, 1, 1, 1))).asnumpy().item()
    assert output == pytest.approx(1 / math.sqrt(0.001), rel=1e-5)


def test_dropout_keeps_four_fifths_and_only_in_training(network, pynative):
    ones = ms.ops.ones((200, 1536))
    assert np.all(network.dropout(ones).asnumpy() == 1)
    network.dropout.set_train(True)
    dropped = network.dropout(ones, ms.Tensor(np.arange(200), ms.int32)).asnumpy()
    network.dropout.set_train(False)
    assert np.mean(dropped > 0) == pytest.approx(0.8, abs=0.01)
    assert dropped.max() == pytest.approx(1 / 0.8)


def test_initial_weights_keep_the_signal(network):
    weight = network.inception_b[0].branches[2][1].conv.weight  # 192 inputs, 7x1
    assert weight.asnumpy().std() == pytest.approx(math.sqrt(2 / (192 * 7)), rel=0.02)
    highest = math.sqrt(6 / (1536 + CLASSES))  # Glorot and Bengio's, uniform
    classifier = network.classifier.weight.asnumpy()
    assert 0.99 * highest < np.abs(classifier).max() <= highest
    assert classifier.std() == pytest.approx(highest / math.sqrt(3), rel=0.02)
    assert not network.classifier.bias.asnumpy().any()
