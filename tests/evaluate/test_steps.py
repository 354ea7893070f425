"""Crops of images are dealt out to steps of one size, of which none stays empty."""

import pytest

from common.cli import RequestError
from evaluate.steps import step_shape


@pytest.mark.parametrize("crops, at_most, expected", [
    (1, 1, (1, 1)), (1, 72, (72, 72)), (10, 72, (7, 70)), (12, 72, (6, 72)),
    (144, 1, (1, 1)), (144, 7, (1, 6)), (144, 72, (1, 72)), (144, 143, (1, 72)),
    (144, 144, (1, 144)), (144, 300, (2, 288))])
def test_the_largest_step_that_leaves_no_view_empty(crops, at_most, expected):
    assert step_shape(crops, at_most) == expected


@pytest.mark.parametrize("views", [0, -3])
def test_no_views_at_all_are_refused(views):
    with pytest.raises(RequestError, match=f"{views} views per step"):
        step_shape(144, views)
