"""Normalisation and layout against NumPy."""

import mindspore as ms
import numpy as np
import pytest

from inceptionv4.preprocess import Preprocess


@pytest.mark.parametrize("statistics, mean, std", [
    ((), (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    (((10.0, 20.0, 30.0), (2.0, 4.0, 8.0)), (10, 20, 30), (2, 4, 8))])
def test_each_channel_has_its_statistics(statistics, mean, std):
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), dtype=np.uint8)
    planes = Preprocess(*statistics)(ms.Tensor(images))
    assert planes.dtype == ms.float32 and planes.shape == (2, 3, 5, 4)
    expected = ((images - np.array(mean)) / std).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(planes.asnumpy(), expected, rtol=1e-5, atol=1e-5)
