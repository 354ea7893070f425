"""Decoding once per crop gives the crops that are classified; both and a whole run are timed."""

import os

import numpy as np
import pytest
from mindspore import nn

from benchmarks import crops
from benchmarks.crops import (BARE, DECODING, NAIVE, OURS, WHOLE, CropsRequest, benchmark_crops,
                              conclusions, naive_views, project)
from benchmarks.synthetic import make_class_folders
from common.cli import CheckFailed
from common.forms import SpeedRow
from evaluate import views
from evaluate.evaluator import Classifier
from evaluate.protocols import protocol_of
from evaluate.views import cut_views, decode_rgb
from inceptionv4 import device, precision


def test_the_naive_way_makes_the_same_crops(tmp_path):
    make_class_folders(tmp_path / "images", 1)
    path, = tmp_path.glob("*/train/*/*")
    protocol = protocol_of(144, 75)
    naive = naive_views(path.read_bytes(), protocol)
    plain = cut_views(decode_rgb(path.read_bytes()), protocol)
    assert np.array_equal(naive[::2], plain)
    assert np.array_equal(naive[1::2], plain[:, :, ::-1])


class SmallNetwork(nn.Cell):
    def __init__(self, classes):
        super().__init__()
        self.layers = nn.SequentialCell(nn.Conv2d(3, classes, 25, 25, "valid"),
                                        nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def construct(self, inputs):
        return self.layers(inputs)


def test_all_rows_are_timed_and_the_work_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr("inceptionv4.network.InceptionV4", SmallNetwork)
    table = benchmark_crops(CropsRequest(tmp_path, images=1, run_images=2, repeats=2, device="CPU"))
    assert [(row.name, row.items, len(row.seconds)) for row in table.rows] == [
        (NAIVE, 1, 2), (OURS, 1, 2), (DECODING, 1, 2), (BARE, 2, 2), (WHOLE, 2, 2)]
    assert min(min(row.seconds) for row in table.rows) > 0 and table.machine["device"] == "CPU"
    assert len(table.closing) == 3 and os.listdir(tmp_path) == []


def test_each_section_counts_its_own_images(tmp_path, monkeypatch):
    """Three are cut. Two are evaluated, each in two passes of 72 crops, plain and mirrored: once to
    compile, then by the bare network and by the whole run."""
    passes, cut, classify = [], [], Classifier.__call__
    monkeypatch.setattr("inceptionv4.network.InceptionV4", SmallNetwork)
    monkeypatch.setattr(Classifier, "__call__", lambda network, views, columns: (
        passes.append((views.shape, columns.shape, str(columns.dtype), network.training))
        or classify(network, views, columns)))
    monkeypatch.setattr(crops, "naive_views", lambda data, protocol: cut.append(
        ("naive", data, protocol)))
    monkeypatch.setattr(views, "cut_views", lambda image, protocol, run=cut_views: (
        cut.append(("ours", image.size, protocol)) if protocol.image_size == 299 else
        run(image, protocol)))
    casts, cast = [], precision.cast_cells
    monkeypatch.setattr(precision, "cast_cells", lambda network, to: (
        casts.append(to) or cast(network, to)))
    devices, setup = [], device.setup_device
    monkeypatch.setattr(device, "setup_device", lambda *asked, **options: (
        devices.append((asked, options)) or setup(*asked, **options)))
    table = benchmark_crops(CropsRequest(tmp_path / "new", images=3, run_images=2, repeats=1,
                                         image_size=80, device="CPU", precision="float16"))
    assert passes == [((72, 80, 80, 3), (80,), "Int32", False)] * (3 * 2 * 2)
    assert devices == [(("CPU",), {"precision": "float16"})]
    assert casts == ["float16"]
    protocol = protocol_of(144, 299)
    naive = [asked for asked in cut if asked[0] == "naive"]
    assert len({data for _, data, _ in naive}) == 3
    assert [asked[2] for asked in naive] == 3 * [protocol]
    assert [asked for asked in cut if asked[0] == "ours"] == 3 * [("ours", (500, 375), protocol)]
    assert table.closing == conclusions(table.rows, 3)
    assert [row.section for row in table.rows] == (
        3 * ["Cutting on one core, 299 pixels"] + 2 * ["Evaluating, 80 pixels"])
    assert table.settings == {
        "repeats": 1, "views per step": 72,
        "arithmetic": "convolutions and classifier in float16, all else in float32"}


@pytest.mark.parametrize("failing", ["time_cutting", "time_running"])
def test_nothing_is_left_of_a_benchmark_that_fails(failing, tmp_path, monkeypatch):
    def fail(*_):
        raise CheckFailed("no network")
    monkeypatch.setattr(crops, "time_cutting", lambda work, request: work.mkdir(parents=True) or [])
    monkeypatch.setattr(crops, failing, fail)
    with pytest.raises(CheckFailed, match="no network"):
        benchmark_crops(CropsRequest(tmp_path, images=1, run_images=1, repeats=1, device="CPU"))
    assert os.listdir(tmp_path) == []


def test_the_table_says_by_how_much_the_run_exceeds_its_network_and_projects_it():
    rows = [SpeedRow(OURS, [2.0, 4.0, 3.0]), SpeedRow(BARE, [100.0, 200.0, 90.0]),
            SpeedRow(WHOLE, [104.5, 50.0, 300.0])]
    assert conclusions(rows, 30) == [
        "The whole run takes +4.5 % against the bare network (goal: within 5 %).",
        project(10.0, 1), project(10.0, 8)]
    assert "take 2.00 h on 1 card; cutting takes 0.07 cores of the host" in project(100.0, 1)
    assert "take 0.25 h on 8 cards; cutting takes 0.56 cores of the host" in project(100.0, 8)
