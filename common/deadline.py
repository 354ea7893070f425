"""A deadline for what may hang: reading from storage that does not answer any more."""

import contextlib
import queue
import threading
from typing import Iterator, TypeVar, Union

SECONDS_TO_STOP = 10  # for a thread whose items are not wanted any more

Item = TypeVar("Item")
_stuck: list[threading.Thread] = []


class NothingCame(Exception):
    """An iterator gave neither an item nor its end for as long as it may take."""


class _End:
    """What comes after the last item: the iterator's exception, or None."""

    def __init__(self, error: Union[BaseException, None] = None):
        self.error = error


def within(seconds: float, items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items in their order; a thread fetches them, one ahead (30 us per item).

    Raises:
        NothingCame: the next one did not come in time. The thread stays in the call that hangs.
        Exception: what ``items`` raises, after the items before it.
    """
    fetched: queue.Queue[Union[Item, _End]] = queue.Queue(maxsize=1)
    abandoned = threading.Event()
    thread = threading.Thread(target=_fetch, args=(items, fetched, abandoned), daemon=True)
    thread.start()
    patience: float = SECONDS_TO_STOP
    try:
        while not isinstance(item := fetched.get(timeout=seconds), _End):
            yield item
        if item.error is not None:
            raise item.error
    except queue.Empty:
        patience = 0
        raise NothingCame from None
    finally:
        abandoned.set()
        with contextlib.suppress(queue.Empty):  # the thread may wait for room
            fetched.get_nowait()
        thread.join(patience)
        if thread.is_alive():
            _stuck.append(thread)


def _fetch(items: Iterator[Item], fetched: queue.Queue, abandoned: threading.Event) -> None:
    try:
        for item in items:
            fetched.put(item)
            if abandoned.is_set():
                return
        fetched.put(_End())
    except BaseException as error:
        fetched.put(_End(error))


def is_stuck() -> bool:
    """Return whether a thread is still in a call that hung."""
    return any(thread.is_alive() for thread in _stuck)
