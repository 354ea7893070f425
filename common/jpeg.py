"""The libjpeg that decodes images: Pillow's, which uses the processor's vector instructions.

MindSpore 2.10's wheel for x86-64 contains a libjpeg-turbo that was built without them. Pillow's
wheel contains one with them and the same interface (version 62), which gives exactly the same
pixels in less time (``python -m benchmarks feed`` shows it). Loaded before MindSpore with global
symbols, it serves MindSpore's own calls. It was not tried on other processors.
"""

import ctypes
import os
from importlib.metadata import PackageNotFoundError, files
from typing import Optional

CHOICE = "JPEG_DECODER"  # environment: "mindspore" leaves MindSpore its own
# What Pillow's readers raise for bytes that are no image, end too early or are damaged.
UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, IndexError)
INTERFACE = ".so.62."  # in the file's name; MindSpore was built for this one


def prefer_pillows_libjpeg() -> Optional[str]:
    """Load Pillow's libjpeg for all later calls; must run before MindSpore is imported.

    Returns:
        The library's file, or None if Pillow has none of its own (as in a distribution's package)
        or the environment variable JPEG_DECODER is "mindspore": MindSpore's own decodes then.
    """
    if os.environ.get(CHOICE) == "mindspore":
        return None
    try:
        of_pillow = files("pillow") or []
    except PackageNotFoundError:
        return None
    for file in of_pillow:
        library = str(file.locate())
        if file.match(f"libjpeg*{INTERFACE}*") and os.path.exists(library):
            ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
            return library
    return None
