"""Normalisation and layout against NumPy."""

import mindspore as ms
import numpy as np
import pytest

from inceptionv4.preprocess import Preprocess


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), dtype=np.uint8)


def test_default_is_minus_one_to_one(images):
    images[0, 0, 0], images[0, 0, 1] = 0, 255
    planes = Preprocess()(ms.Tensor(images))
    assert planes.dtype == ms.float32 and planes.shape == (2, 3, 5, 4)
    expected = (images.astype(np.float64) / 127.5 - 1).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(planes.asnumpy(), expected, atol=1e-6)
    assert planes.asnumpy()[0, 0, 0, :2].tolist() == [-1, 1]


def test_each_channel_has_its_own_statistics(images):
    mean, std = np.array([10.0, 20.0, 30.0]), np.array([2.0, 4.0, 8.0])
    planes = Preprocess(tuple(mean), tuple(std))(ms.Tensor(images)).asnumpy()
    expected = ((images - mean) / std).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(planes, expected, rtol=1e-5, atol=1e-5)
