"""How the crops of images are dealt out to steps of a fixed number of views."""

from typing import NamedTuple

from common.cli import RequestError

VIEWS_PER_STEP = 72


class StepShape(NamedTuple):
    """A group of ``images`` images takes a whole number of steps of ``views`` views."""

    images: int
    views: int


def step_shape(crops: int, views_per_step: int) -> StepShape:
    """The largest step of at most ``views_per_step`` views in which none stays empty: several
    whole images, or a divisor of one image's ``crops``. RequestError below 1."""
    if views_per_step < 1:
        raise RequestError(f"{views_per_step} views per step: give at least 1")
    if views_per_step >= crops:
        images = views_per_step // crops
        return StepShape(images, images * crops)
    return StepShape(1, max(views for views in range(1, views_per_step + 1)
                            if crops % views == 0))
