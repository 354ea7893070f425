"""Crop geometry: every box of every protocol, flush with the edges."""

import pytest

from common.cli import RequestError
from evaluate.protocols import (PROTOCOLS, Box, Crop, crop_boxes, multi_scale_crops, protocol_of,
                                resized_size, single_crop)

LANDSCAPE, PORTRAIT, SQUARE = (500, 375), (333, 501), (247, 247)


def expected_144(width, height, size, scales):
    """Section 7 of arXiv 1409.4842 spelt out again, without the functions under test."""
    crops = []
    for scale in scales:
        share = scale / min(width, height)
        across, down = round(width * share), round(height * share)
        for part in range(3):
            left, top = (0, (across - scale) // 2, across - scale)[part], 0
            if height > width:
                left, top = 0, (0, (down - scale) // 2, down - scale)[part]
            last, middle = scale - size, (scale - size) // 2
            corners = [(0, 0), (last, 0), (0, last), (last, last), (middle, middle)]
            boxes = [Box(left + x, top + y, left + x + size, top + y + size) for x, y in corners]
            boxes.append(Box(left, top, left + scale, top + scale))
            crops += [Crop(scale, box, mirrored) for box in boxes for mirrored in (False, True)]
    return crops


@pytest.mark.parametrize("image", [LANDSCAPE, PORTRAIT, SQUARE, (1, 3), (4000, 2999)])
@pytest.mark.parametrize("size, scales", [(299, (320, 352, 384, 448)), (75, (80, 88, 96, 112))])
def test_all_144_boxes(image, size, scales):
    protocol = multi_scale_crops(size)
    assert protocol.scales == scales
    assert protocol.crops == 144
    assert crop_boxes(protocol, *image) == expected_144(*image, size, scales)


@pytest.mark.parametrize("image, first, last", [
    (LANDSCAPE, Box(0, 0, 299, 299), Box(149, 0, 597, 448)),    # 500 x 375 -> 597 x 448
    (PORTRAIT, Box(0, 0, 299, 299), Box(0, 226, 448, 674)),     # 333 x 501 -> 448 x 674
    (SQUARE, Box(0, 0, 299, 299), Box(0, 0, 448, 448))])
def test_first_and_last_box_worked_out_by_hand(image, first, last):
    crops = crop_boxes(multi_scale_crops(299), *image)
    assert crops[0] == Crop(320, first, False)
    assert crops[-1] == Crop(448, last, True)


@pytest.mark.parametrize("crops", PROTOCOLS)
@pytest.mark.parametrize("image", [LANDSCAPE, PORTRAIT, SQUARE, (17, 2000)])
def test_boxes_lie_within_the_resized_image(crops, image):
    protocol = protocol_of(crops, 299)
    boxes = crop_boxes(protocol, *image)
    assert len(boxes) == protocol.crops == crops
    for scale, box, _ in boxes:
        width, height = resized_size(*image, scale)
        assert 0 <= box.left < box.right <= width and 0 <= box.top < box.bottom <= height
        assert box.bottom - box.top == box.right - box.left >= 299


@pytest.mark.parametrize("image", [LANDSCAPE, PORTRAIT, SQUARE])
def test_crops_reach_every_edge_of_the_image(image):
    for scale in multi_scale_crops(75).scales:
        boxes = [crop.box for crop in crop_boxes(multi_scale_crops(75), *image)
                 if crop.scale == scale]
        assert (min(box.left for box in boxes), min(box.top for box in boxes)) == (0, 0)
        assert (max(box.right for box in boxes), max(box.bottom for box in boxes)) == \
            resized_size(*image, scale)


def test_single_crop_is_the_centre_of_the_shorter_side_divided_by_0_875():
    assert crop_boxes(single_crop(224), 512, 256) == [Crop(256, Box(144, 16, 368, 240), False)]
    assert single_crop(299).scales == (342,)
    assert single_crop(75).scales == (86,)


def test_ten_and_twelve_crops_differ_by_the_whole_square():
    ten, twelve = (crop_boxes(protocol_of(crops, 224), 300, 256) for crops in (10, 12))
    assert twelve[:10] == ten
    assert [crop.mirrored for crop in twelve] == [False, True] * 6
    assert twelve[10] == Crop(256, Box(22, 0, 278, 256), False)


@pytest.mark.parametrize("image, scale, expected", [
    ((500, 375), 320, (427, 320)), ((375, 500), 320, (320, 427)), ((10, 10), 80, (80, 80)),
    ((3, 2), 80, (120, 80)), ((501, 333), 448, (674, 448))])
def test_the_aspect_ratio_is_kept(image, scale, expected):
    assert resized_size(*image, scale) == expected


def test_an_unknown_number_of_crops_is_named():
    with pytest.raises(RequestError, match="no protocol of 7 crops.*1, 10, 12, 144"):
        protocol_of(7, 299)


@pytest.mark.parametrize("size, scales, expected", [
    (299, None, (320, 352, 384, 448)), (224, "paper", (256, 288, 320, 352)),
    (299, "paper", (342, 384, 427, 470)), (75, (75, 80, 90, 300), (75, 80, 90, 300))])
def test_scales_can_be_the_papers_or_given(size, scales, expected):
    protocol = protocol_of(144, size, scales)
    assert protocol.scales == expected and protocol.crops == 144


@pytest.mark.parametrize("crops, scales, said", [
    (144, (74, 80, 90, 100), "scale 74 is below the image size of the checkpoint, 75"),
    (144, (80, 90, 100), "give 4 different ones"), (144, (80, 80, 90, 100), "give 4 different"),
    (12, (80, 90, 100, 110), "can be chosen for 144 crops, not for 12"),
    (1, "paper", "not for 1")])
def test_other_scales_are_refused(crops, scales, said):
    with pytest.raises(RequestError, match=said):
        protocol_of(crops, 75, scales)


@pytest.mark.parametrize("crops, expected", [
    (1, (1,)), (10, (2, 4, 6, 8, 10)), (12, (2, 4, 6, 8, 10, 12)),
    (144, (12, 24, 36, 48, 60, 72, 84, 96, 108, 120, 132, 144))])
def test_a_curve_has_a_point_for_each_square_or_view(crops, expected):
    assert protocol_of(crops, 75).curve == expected
