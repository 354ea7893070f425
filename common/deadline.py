"""A deadline for reading images, where storage that does not answer would hang a run for ever.

The read hangs inside MindSpore, where no exception reaches the main thread, and its iterators may
not be called from another one. So another thread waits next to it and ends the process.
"""

import contextlib
import threading
from typing import Iterator

from common.cli import RequestError, end_process

SECONDS_WITHOUT_IMAGES = 300  # longer than slow storage takes for the first batch of an epoch
PARTS = 10  # of the waiting: a process that was suspended meanwhile loses one of them


def no_images(what: str, where: str) -> RequestError:
    """Return the error of a read that hangs: ``what`` gave nothing, and at which place."""
    return RequestError(f"{what} for {SECONDS_WITHOUT_IMAGES} s, {where}; check that the storage "
                        "of the images answers")


@contextlib.contextmanager
def reading_deadline(what: str, where: str) -> Iterator[None]:
    """End the process with the line of ``no_images`` unless the body ends within
    ``SECONDS_WITHOUT_IMAGES``. Put only the read inside: a long validation is no hang."""
    done = threading.Event()

    def watch() -> None:
        if not any(done.wait(SECONDS_WITHOUT_IMAGES / PARTS) for _ in range(PARTS)):
            end_process(no_images(what, where))
    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        done.set()
