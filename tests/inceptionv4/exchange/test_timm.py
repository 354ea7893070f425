"""An imported network against timm itself: the same images, the same logits."""

import mindspore as ms
import numpy as np
import pytest

from inceptionv4.checkpoint import load_checkpoint
from inceptionv4.exchange.exporter import ImagesToLogits
from inceptionv4.exchange.importer import import_checkpoint
from inceptionv4.network import InceptionV4

NEEDED = "needs timm and torch: pip install -e '.[bench]'"


@pytest.fixture
def theirs():
    """timm's network, its values random but such that all layers are heard in the logits."""
    torch = pytest.importorskip("torch", reason=NEEDED)
    timm = pytest.importorskip("timm", reason=NEEDED)
    torch.manual_seed(0)
    network = timm.create_model("inception_v4", pretrained=False).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, torch.nn.BatchNorm2d):
            for scale in (module.weight, module.running_var):
                torch.nn.init.uniform_(scale, 0.5, 1.5)
            for shift in (module.bias, module.running_mean):
                torch.nn.init.normal_(shift, 0, 0.1)
    return network


def test_same_logits_as_timm(tmp_path, theirs, pynative):
    import torch
    from safetensors.torch import save_file
    save_file(theirs.state_dict(), tmp_path / "t.safetensors")
    done = import_checkpoint(tmp_path / "t.safetensors", "timm", tmp_path / "x.ckpt")
    assert done == (149 * 5 + 2, 149)
    ours = InceptionV4(1000)
    meta = load_checkpoint(tmp_path / "x.ckpt", ours)
    statistics = [tuple(255 * value for value in theirs.pretrained_cfg[name])
                  for name in ("mean", "std")]
    assert [meta.mean, meta.std] == statistics

    images = np.random.default_rng(0).integers(0, 256, (2, 299, 299, 3), dtype=np.uint8)
    planes = torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        expected = theirs(planes).numpy()
    found = ImagesToLogits(ours, meta).set_train(False)(ms.Tensor(images)).asnumpy()
    assert np.abs(expected[0] - expected[1]).max() > 0.1  # the images matter
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
