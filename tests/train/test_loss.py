"""The loss against its formula in NumPy."""

import mindspore as ms
import numpy as np
import pytest

from train.loss import SmoothedCrossEntropy


def numpy_loss(logits: np.ndarray, labels: np.ndarray, smoothing: float) -> float:
    logits = logits.astype(np.float64)
    log_softmax = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    classes = logits.shape[1]
    targets = np.full(logits.shape, smoothing / (classes - 1))
    targets[np.arange(len(labels)), labels] = 1 - smoothing
    return -(targets * log_softmax).sum(axis=1).mean()


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_loss_is_the_formula(classes, smoothing):
    random = np.random.default_rng(classes)
    logits = random.normal(scale=3, size=(6, classes)).astype(np.float32)
    labels = random.integers(0, classes, 6).astype(np.int32)
    found = SmoothedCrossEntropy(smoothing)(ms.Tensor(logits), ms.Tensor(labels))
    assert found.shape == ()
    np.testing.assert_allclose(found.asnumpy(), numpy_loss(logits, labels, smoothing), rtol=2e-6)


def test_gradient_is_softmax_minus_smoothed_label():
    logits = np.array([[2.0, -1.0, 0.5]], np.float32)
    loss = SmoothedCrossEntropy(0.1)
    gradient = ms.grad(loss)(ms.Tensor(logits), ms.Tensor([2], ms.int32)).asnumpy()
    softmax = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(gradient, softmax - [[0.05, 0.05, 0.9]], atol=1e-6)
