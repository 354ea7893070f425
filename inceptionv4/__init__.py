"""Inception-v4 (arXiv 1602.07261): the network, the device it runs on, its weights on disk.

Names are imported on first use, since MindSpore takes seconds to load and a command's ``--help``
or a wrong argument should not wait for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

import common  # before MindSpore, see common.jpeg

_MODULE_OF = {
    "InceptionV4": "network", "SMALLEST_IMAGE": "network", "FEATURES": "network",
    "KeyedDropout": "dropout", "mix_bits": "dropout",
    "Preprocess": "preprocess", "INCEPTION_MEAN": "preprocess", "INCEPTION_STD": "preprocess",
    "Device": "device", "setup_device": "device", "meet_ranks": "device",
    "same_on_all_ranks": "device", "exact_rmsprop": "device",
    "DEVICE_TARGETS": "options", "add_device_option": "options",
    "CheckpointMeta": "meta", "read_meta": "meta",
    "load_checkpoint": "weights", "network_parameters": "weights", "read_checkpoint": "weights",
    "save_checkpoint": "weights",
    "Imported": "importer", "import_checkpoint": "importer",
    "export_checkpoint": "export",
}

__all__ = sorted(_MODULE_OF)

if TYPE_CHECKING:  # the same names again, for mypy, which runs nothing
    from inceptionv4.device import (Device, exact_rmsprop, meet_ranks, same_on_all_ranks,
                                    setup_device)
    from inceptionv4.dropout import KeyedDropout, mix_bits
    from inceptionv4.export import export_checkpoint
    from inceptionv4.importer import Imported, import_checkpoint
    from inceptionv4.meta import CheckpointMeta, read_meta
    from inceptionv4.network import FEATURES, SMALLEST_IMAGE, InceptionV4
    from inceptionv4.options import DEVICE_TARGETS, add_device_option
    from inceptionv4.preprocess import INCEPTION_MEAN, INCEPTION_STD, Preprocess
    from inceptionv4.weights import (load_checkpoint, network_parameters, read_checkpoint,
                                     save_checkpoint)
else:
    def __getattr__(name: str) -> object:
        if name not in _MODULE_OF:
            raise AttributeError(f"module 'inceptionv4' has no attribute '{name}'")
        return getattr(import_module(f"inceptionv4.{_MODULE_OF[name]}"), name)
