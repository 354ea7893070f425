"""The loss of the seed's recipe."""

import mindspore as ms
from mindspore import nn, ops


class SmoothedCrossEntropy(nn.Cell):
    """Softmax cross-entropy with smoothed labels, the mean over the batch.

    The label is given 1 - smoothing and every other class smoothing / (classes - 1), as
    ``SoftmaxCrossEntropyWithLogits(smooth_factor=0.1)`` did in the MindSpore of the seed report.
    (``nn.CrossEntropyLoss(label_smoothing)`` shares out among all classes, the label included.)

    Args:
        smoothing: from 0 to 1.

    construct: logits float32 (N, classes) with classes >= 2, labels int32 (N,) -> float32 ().
    """

    def __init__(self, smoothing: float):
        super().__init__()
        self.smoothing = smoothing
        self.cross_entropy = nn.SoftmaxCrossEntropyWithLogits(sparse=False, reduction="mean")

    def construct(self, logits: ms.Tensor, labels: ms.Tensor) -> ms.Tensor:
        classes = logits.shape[1]
        targets = ops.one_hot(labels, classes, ms.Tensor(1 - self.smoothing, ms.float32),
                              ms.Tensor(self.smoothing / (classes - 1), ms.float32))
        return self.cross_entropy(logits, targets)
