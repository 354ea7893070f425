"""One network for all tests that read it, since it takes seconds to build."""

import mindspore as ms
import pytest

from inceptionv4.network import InceptionV4


@pytest.fixture(scope="session")
def network(cpu) -> InceptionV4:
    """Of 7 classes and a decay that is not the default, for evaluation; its values are random."""
    return InceptionV4(7, batch_norm_decay=0.75).set_train(False)


@pytest.fixture
def pynative():
    """Op by op: nothing is compiled, so that a shape costs one forward pass."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    yield
    ms.set_context(mode=ms.GRAPH_MODE)
