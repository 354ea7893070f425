"""The device's share gives the pixels and probabilities of the obvious way."""

import mindspore as ms
import numpy as np
import pytest
from PIL import Image

from evaluate.graphs import Classifier, ViewCutter
from evaluate.protocols import protocol_of
from evaluate.resampling import bicubic_matrix
from evaluate.views import cut_squares

SIZES = [(120, 90), (91, 133), (77, 77), (9, 5), (300, 60), (640, 481)]
# Pillow computes with whole numbers, a device in float32, whose sums are off by up to some 1e-5
# of a level: as rare as that is a pixel that is rounded to the other side.
LARGEST_SHARE_OF_ROUNDED_PIXELS = 1e-4


def assert_same_pixels(found, expected):
    assert found.shape == expected.shape and found.dtype == expected.dtype == np.uint8
    difference = np.abs(found.astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() <= LARGEST_SHARE_OF_ROUNDED_PIXELS


@pytest.mark.parametrize("crops, views_per_step", [(144, 48), (12, 36), (10, 60), (1, 2)])
def test_views_are_those_cut_one_by_one(draw, slow_views, crops, views_per_step):
    protocol = protocol_of(crops, 75)
    images = [draw(*size) for size in SIZES]
    squares = zip(*(cut_squares(image, protocol) for image in images))
    cutter = ViewCutter(protocol, len(images), views_per_step)
    steps = cutter(*(ms.Tensor(np.concatenate(of_scale)) for of_scale in squares))
    assert [step.shape[0] for step in steps] == [views_per_step] * (6 * crops // views_per_step)
    assert_same_pixels(np.concatenate([step.asnumpy() for step in steps]),
                       np.concatenate([slow_views(image, protocol) for image in images]))


@pytest.mark.parametrize("side, size", [(86, 75), (112, 75), (448, 299), (75, 75), (60, 75)])
def test_the_matrix_resizes_as_pillow_does(draw, side, size):
    image, matrix = draw(side, side, "L"), bicubic_matrix(side, size).astype(np.float64)
    rows = np.clip(np.floor(np.asarray(image) @ matrix.T + 0.5), 0, 255)
    found = np.clip(np.floor(matrix @ rows + 0.5), 0, 255).astype(np.uint8)
    assert_same_pixels(found, np.asarray(image.resize((size, size), Image.Resampling.BICUBIC)))


def test_the_classifier_normalises_and_gives_probabilities(network):
    views = np.random.default_rng(0).integers(0, 256, (2, 75, 75, 3), dtype=np.uint8)
    mean, std = np.float32([120, 110, 100]), np.float32([50, 60, 70])
    classifier = Classifier(network, mean.tolist(), std.tolist()).set_train(False)
    found = classifier(ms.Tensor(views)).asnumpy()
    network.set_train(False)
    logits = network(ms.Tensor(((views - mean) / std).transpose(0, 3, 1, 2))).asnumpy()
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert found.dtype == np.float32
    assert found == pytest.approx(expected, abs=1e-5)


def test_the_network_keeps_its_parameter_names(network):
    before = [parameter.name for parameter in network.get_parameters()]
    Classifier(network, [127.5] * 3, [127.5] * 3)
    assert [parameter.name for parameter in network.get_parameters()] == before
