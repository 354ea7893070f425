"""The same network in other libraries: what they call its parameters and how they feed it.

Both took the network over from the authors' published weights, as ``network.py`` did, so that
the shapes and the order within every chain of convolutions agree; the names alone differ. Both
trained with images of IMAGE_SIZE.
Needs no MindSpore, so that a command can list the libraries before the framework is loaded.
"""

from dataclasses import dataclass
from typing import Mapping

from inceptionv4 import BICUBIC, BILINEAR

# Every block after the stem, in order: both libraries number stem and blocks through.
BLOCKS = (*(f"inception_a.{i}" for i in range(4)), "reduction_a",
          *(f"inception_b.{i}" for i in range(7)), "reduction_b",
          *(f"inception_c.{i}" for i in range(3)))


@dataclass(frozen=True)
class ForeignLibrary:
    """A library that has an Inception-v4.

    Attributes:
        stem: for each convolution, the name after ``stem.`` here and after ``features.`` there.
        first_block: number of the first Inception-A block among their ``features``.
        branch: what comes before the number of a branch.
        inception_c: for the convolutions around the forks of an Inception-C block, the names after
            the block here and there; the others are named as in every block.
        classifier: name of the last layer.
        batch_norm: what they call MindSpore's gamma, beta and moving averages.
        mean, std: per channel (red, green, blue), in 0..255 units; images were fed to it as
            (x - mean) / std.
        interpolation: how it resizes images to evaluate the network, one of ``INTERPOLATIONS``.
    """

    stem: Mapping[str, str]
    first_block: int
    branch: str
    inception_c: Mapping[str, str]
    classifier: str
    batch_norm: Mapping[str, str]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str


def _stem_mixed_4a(prefix: str) -> dict[str, str]:
    """Return the names in the two branches of the second fork, of two and of four convolutions."""
    return {f"4.branches.{branch}.{conv}": f"{prefix}{branch}.{conv}"
            for branch, convs in ((0, 2), (1, 4)) for conv in range(convs)}


# timm 1.0, timm/models/inception_v4.py: module names; default_cfgs for the rest.
TIMM = ForeignLibrary(
    stem={"0": "0", "1": "1", "2": "2", "3.branches.1": "3.conv", "5.branches.0": "5.conv",
          **_stem_mixed_4a("4.branch")},
    first_block=6, branch="branch",
    inception_c={"branches.1.0": "branch1_0", "branches.1.1.branches.0": "branch1_1a",
                 "branches.1.1.branches.1": "branch1_1b", "branches.2.0": "branch2_0",
                 "branches.2.1": "branch2_1", "branches.2.2": "branch2_2",
                 "branches.2.3.branches.0": "branch2_3a", "branches.2.3.branches.1": "branch2_3b"},
    classifier="last_linear",
    batch_norm={"gamma": "weight", "beta": "bias",
                "moving_mean": "running_mean", "moving_variance": "running_var"},
    mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5), interpolation=BICUBIC)

# mindcv, mindcv/models/inceptionv4.py: cell names. Its recipe, configs/inceptionv4/
# inception_v4_ascend.yaml, sets no statistics, and so ImageNet's hold, the default of config.py.
# Its recipe also says that images are resized bilinearly.
MINDCV = ForeignLibrary(
    stem={"0": "0.conv2d_1a_3x3", "1": "0.conv2d_2a_3x3", "2": "0.conv2d_2b_3x3",
          "3.branches.1": "0.mixed_3a_branch_1", "5.branches.0": "0.mixed_5a_branch_0",
          **_stem_mixed_4a("0.mixed_4a_branch_")},
    first_block=1, branch="branch_",
    inception_c={"branches.1.0": "branch_1", "branches.1.1.branches.0": "branch_1_1",
                 "branches.1.1.branches.1": "branch_1_2",
                 "branches.2.3.branches.0": "branch_2_1", "branches.2.3.branches.1": "branch_2_2"},
    classifier="classifier", batch_norm={},
    mean=(0.485 * 255, 0.456 * 255, 0.406 * 255), std=(0.229 * 255, 0.224 * 255, 0.225 * 255),
    interpolation=BILINEAR)

LIBRARIES = {"timm": TIMM, "mindcv": MINDCV}


def foreign_name(name: str, library: ForeignLibrary) -> str:
    """Return what ``library`` calls the parameter that the network here calls ``name``.

    ``inception_a.0.branches.1.0.bn.gamma`` is ``features.6.branch1.0.bn.weight`` to timm.
    """
    module, leaf = name.rsplit(".", 1)
    leaf = library.batch_norm.get(leaf, leaf)
    if module == "classifier":
        return f"{library.classifier}.{leaf}"
    convolution, part = module.rsplit(".", 1)  # part: conv or bn
    if convolution.startswith("stem."):
        place = library.stem[convolution.removeprefix("stem.")]
    else:
        block = next(block for block in BLOCKS if convolution.startswith(f"{block}."))
        inner = convolution.removeprefix(f"{block}.")
        if block.startswith("inception_c.") and inner in library.inception_c:
            inner = library.inception_c[inner]
        else:
            inner = library.branch + inner.removeprefix("branches.")
        place = f"{library.first_block + BLOCKS.index(block)}.{inner}"
    return f"features.{place}.{part}.{leaf}"
