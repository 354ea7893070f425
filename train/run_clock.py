"""How long a run takes: an estimate as soon as there is one, and the time that is left."""

import statistics
import time
from datetime import datetime, timedelta
from typing import Optional, Sequence

from common.forms import HistoryLine
from common.text import describe_seconds
from train.plan import Plan

ESTIMATE_STEPS = 5  # after the first one, which also makes what the others reuse
# A shorter epoch soon ends, and its own line counts validating and saving, too: together they can
# take as long as the few steps of a small set.
ESTIMATED_EPOCH_SECONDS = 60


class RunClock:
    """The time of a run, from the moment that its first step starts in this process.

    Args:
        first_epoch: that this process trains, counted from 1.
    """

    def __init__(self, plan: Plan, first_epoch: int = 1):
        self.plan = plan
        self.done_before = (first_epoch - 1) * plan.steps_per_epoch
        self.started = time.monotonic()
        self._first: Optional[tuple[float, int]] = None  # when how many steps were done
        self._is_estimated = False

    def left(self, steps: int) -> str:
        """Return the time to the end of the run, after so many of its steps, if the others take as
        long as those of this process, with what lies between epochs."""
        done = steps - self.done_before
        seconds = (time.monotonic() - self.started) / done * (self.plan.steps - steps)
        return describe_seconds(seconds)

    def first_estimate(self, steps: int) -> str:
        """Return, once in the first epoch of this process, how long an epoch and the run take at
        the speed of the first steps; else an empty text. The end of an epoch says so itself, of a
        short one soon enough.

        Args:
            steps: of the run that are done; to be called whenever some more are.
        """
        now, of_epoch, done = time.monotonic(), self.plan.steps_per_epoch, steps - self.done_before
        if self._first is None:
            self._first = now, done
        since, first = self._first
        enough = max(1, min(ESTIMATE_STEPS, of_epoch - 2))  # a short epoch gives fewer
        if self._is_estimated or done - first < enough or done >= of_epoch:
            return ""
        self._is_estimated = True
        step = (now - since) / (done - first)
        if step * of_epoch < ESTIMATED_EPOCH_SECONDS:
            return ""
        rest = step * (self.plan.steps - steps)
        return (f"estimate from the first steps: {describe_seconds(step * of_epoch)} per epoch, "
                f"at least {describe_seconds(rest)} to the end ({_describe_end(rest)}): validating "
                "and saving come on top")


def seconds_of_epoch(history: Sequence[HistoryLine], steps: int) -> float:
    """Return how long an epoch of so many steps takes, plus the mean time per epoch of validating
    and saving: not every epoch is validated.

    Raises:
        statistics.StatisticsError: the history is empty.
    """
    steps_take = statistics.median(line.ms_per_step * steps / 1000 for line in history)
    return steps_take + statistics.fmean((line.seconds_validating or 0)
                                         + (line.seconds_saving or 0) for line in history)


def _describe_end(seconds: float) -> str:
    """Return when so many seconds will have passed, with the date where it is another day."""
    now = datetime.now()
    end = now + timedelta(seconds=seconds)
    return f"{end:%H:%M}" if end.date() == now.date() else f"{end:%Y-%m-%d %H:%M}"
