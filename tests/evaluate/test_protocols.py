"""Crop geometry: every box of every protocol, flush with the edges."""

import pytest

from common.cli import RequestError
from evaluate.protocols import View, protocol_of, views_of

LANDSCAPE, PORTRAIT, SQUARE = (500, 375), (333, 501), (247, 247)


def expected_144(width, height, size, scales):
    """Section 7 of arXiv 1409.4842 spelt out again, without the functions under test."""
    views = []
    for scale in scales:
        share = scale / min(width, height)
        across, down = round(width * share), round(height * share)
        for part in range(3):
            left, top = (0, (across - scale) // 2, across - scale)[part], 0
            if height > width:
                left, top = 0, (0, (down - scale) // 2, down - scale)[part]
            last, middle = scale - size, (scale - size) // 2
            corners = [(0, 0), (last, 0), (0, last), (last, last), (middle, middle)]
            views += [View(scale, left + x, top + y, size) for x, y in corners]
            views.append(View(scale, left, top, scale))
    return views


@pytest.mark.parametrize("image", [LANDSCAPE, PORTRAIT, SQUARE, (1, 3), (4000, 2999)])
@pytest.mark.parametrize("size, scales, centre", [
    (299, (320, 352, 384, 448), 342), (75, (80, 88, 96, 112), 86)])
def test_every_box_of_every_protocol(image, size, scales, centre):
    """10 and 12 crops are the central square at one scale, without and with the whole square."""
    protocol = protocol_of(144, size)
    assert (protocol.scales, protocol.crops) == (scales, 144)
    assert views_of(protocol, *image) == expected_144(*image, size, scales)
    central = expected_144(*image, size, [centre])[6:12]
    for crops, expected in ((12, central), (10, central[:5]), (1, central[4:5])):
        protocol = protocol_of(crops, size)
        assert views_of(protocol, *image) == expected
        assert (protocol.crops, protocol.mirrors) == (crops, crops // len(expected))


@pytest.mark.parametrize("image, first, last", [
    (LANDSCAPE, (0, 0, 299, 299), (149, 0, 597, 448)),    # 500 x 375 -> 597 x 448
    (PORTRAIT, (0, 0, 299, 299), (0, 226, 448, 674)),     # 333 x 501 -> 448 x 674
    (SQUARE, (0, 0, 299, 299), (0, 0, 448, 448))])
def test_first_and_last_box_worked_out_by_hand(image, first, last):
    views = views_of(protocol_of(144, 299), *image)
    assert (views[0].scale, views[0].box) == (320, first)
    assert (views[-1].scale, views[-1].box) == (448, last)


def test_single_crop_is_the_centre_of_the_shorter_side_divided_by_0_875():
    assert views_of(protocol_of(1, 224), 512, 256) == [View(256, 144, 16, 224)]


@pytest.mark.parametrize("size, scales, expected", [
    (299, None, (320, 352, 384, 448)), (224, "paper", (256, 288, 320, 352)),
    (299, "paper", (342, 384, 427, 470)), (75, (75, 80, 90, 300), (75, 80, 90, 300))])
def test_scales_can_be_the_papers_or_given(size, scales, expected):
    protocol = protocol_of(144, size, scales)
    assert protocol.scales == expected and protocol.crops == 144


@pytest.mark.parametrize("crops, scales, said", [
    (7, None, "no protocol of 7 crops.*1, 10, 12, 144"),
    (144, (74, 80, 90, 100), "scale 74 is below the image size of the checkpoint, 75"),
    (144, (80, 90, 100), "give 4 different ones"), (144, (80, 80, 90, 100), "give 4 different"),
    (12, (80, 90, 100, 110), "can be chosen for 144 crops, not for 12"),
    (1, "paper", "not for 1")])
def test_other_crops_and_scales_are_refused(crops, scales, said):
    with pytest.raises(RequestError, match=said):
        protocol_of(crops, 75, scales)


@pytest.mark.parametrize("crops, expected", [
    (1, (1,)), (10, (2, 4, 6, 8, 10)), (12, (2, 4, 6, 8, 10, 12)),
    (144, (12, 24, 36, 48, 60, 72, 84, 96, 108, 120, 132, 144))])
def test_a_curve_has_a_point_for_each_square_or_view(crops, expected):
    assert protocol_of(crops, 75).curve == expected
