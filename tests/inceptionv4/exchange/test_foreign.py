"""Names in other libraries, against lists written from those libraries' sources.

The lists follow the order in which the sources define their layers, which is the order of the
paper's figures and of the network here; so they need none of the tables that are tested.
"""

from typing import Iterator

import pytest

from inceptionv4.checkpoint import network_parameters
from inceptionv4.exchange.foreign import LIBRARIES, MINDCV, TIMM, foreign_name

REGULAR = {"a": ("0", "1.0", "1.1", "2.0", "2.1", "2.2", "3.1"),
           "reduction_a": ("0", "1.0", "1.1", "1.2"),
           "b": ("0", "1.0", "1.1", "1.2", "2.0", "2.1", "2.2", "2.3", "2.4", "3.1"),
           "reduction_b": ("0.0", "0.1", "1.0", "1.1", "1.2", "1.3")}
KINDS = ["a"] * 4 + ["reduction_a"] + ["b"] * 7 + ["reduction_b"] + ["c"] * 3
TIMM_STEM = ("0", "1", "2", "3.conv", "4.branch0.0", "4.branch0.1", "4.branch1.0", "4.branch1.1",
             "4.branch1.2", "4.branch1.3", "5.conv")
TIMM_C = ("branch0", "branch1_0", "branch1_1a", "branch1_1b", "branch2_0", "branch2_1",
          "branch2_2", "branch2_3a", "branch2_3b", "branch3.1")
MINDCV_STEM = ("conv2d_1a_3x3", "conv2d_2a_3x3", "conv2d_2b_3x3", "mixed_3a_branch_1",
               "mixed_4a_branch_0.0", "mixed_4a_branch_0.1", "mixed_4a_branch_1.0",
               "mixed_4a_branch_1.1", "mixed_4a_branch_1.2", "mixed_4a_branch_1.3",
               "mixed_5a_branch_0")
MINDCV_C = ("branch_0", "branch_1", "branch_1_1", "branch_1_2", "branch_2.0", "branch_2.1",
            "branch_2.2", "branch_2_1", "branch_2_2", "branch_3.1")


def convolutions(stem: tuple, first: int, branch: str, block_c: tuple) -> Iterator[str]:
    yield from stem
    for number, kind in enumerate(KINDS, start=first):
        inner = block_c if kind == "c" else [branch + place for place in REGULAR[kind]]
        yield from (f"{number}.{name}" for name in inner)


EXPECTED = {"timm": list(convolutions(TIMM_STEM, 6, "branch", TIMM_C)),
            "mindcv": list(convolutions(tuple(f"0.{name}" for name in MINDCV_STEM), 1, "branch_",
                                        MINDCV_C))}


@pytest.fixture(scope="module")
def names(network) -> list:
    return list(network_parameters(network))


@pytest.mark.parametrize("library", LIBRARIES)
def test_convolutions_in_the_order_of_the_source(names, library):
    found = [foreign_name(name, LIBRARIES[library]) for name in names
             if name.endswith("conv.weight")]
    assert found == [f"features.{name}.conv.weight" for name in EXPECTED[library]]


@pytest.mark.parametrize("own, timm, mindcv", [
    ("stem.0.bn.gamma", "features.0.bn.weight", "features.0.conv2d_1a_3x3.bn.gamma"),
    ("stem.0.bn.beta", "features.0.bn.bias", "features.0.conv2d_1a_3x3.bn.beta"),
    ("stem.0.bn.moving_mean", "features.0.bn.running_mean",
     "features.0.conv2d_1a_3x3.bn.moving_mean"),
    ("stem.0.bn.moving_variance", "features.0.bn.running_var",
     "features.0.conv2d_1a_3x3.bn.moving_variance"),
    ("classifier.weight", "last_linear.weight", "classifier.weight"),
    ("classifier.bias", "last_linear.bias", "classifier.bias")])
def test_batch_norm_and_classifier(own, timm, mindcv):
    assert foreign_name(own, TIMM) == timm
    assert foreign_name(own, MINDCV) == mindcv
