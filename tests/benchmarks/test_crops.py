"""Decoding once per crop gives the crops that are classified; both and a whole run are timed."""

import os

import numpy as np
from mindspore import nn

from benchmarks.crops import (BARE, DECODING, NAIVE, OURS, WHOLE, CropsRequest, benchmark_crops,
                              conclusions, naive_views, project)
from benchmarks.synthetic import make_class_folders
from common.forms import SpeedRow
from evaluate.evaluator import Classifier
from evaluate.protocols import protocol_of
from evaluate.views import cut_views, decode_rgb


def test_the_naive_way_makes_the_same_crops(tmp_path):
    make_class_folders(tmp_path / "images", 1)
    path, = tmp_path.glob("*/train/*/*")
    protocol = protocol_of(144, 75)
    views = naive_views(path.read_bytes(), protocol)
    plain = cut_views(decode_rgb(path.read_bytes()), protocol)
    assert np.array_equal(views[::2], plain)
    assert np.array_equal(views[1::2], plain[:, :, ::-1])


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
    passes, classify = [], Classifier.__call__
    monkeypatch.setattr("inceptionv4.network.InceptionV4", SmallNetwork)
    monkeypatch.setattr(Classifier, "__call__", lambda network, views, columns: (
        passes.append(len(views)) or classify(network, views, columns)))
    table = benchmark_crops(CropsRequest(tmp_path, images=3, run_images=2, repeats=1, device="CPU"))
    assert passes == [72] * (3 * 2 * 2)
    assert table.closing == conclusions(table.rows, 3)


def test_the_table_says_by_how_much_the_run_exceeds_its_network_and_projects_it():
    rows = [SpeedRow(OURS, [2.0, 4.0, 3.0]), SpeedRow(BARE, [100.0, 200.0, 90.0]),
            SpeedRow(WHOLE, [104.5, 50.0, 300.0])]
    assert conclusions(rows, 30) == [
        "The whole run takes +4.5 % against the bare network (goal: within 5 %).",
        project(10.0, 1), project(10.0, 8)]
    assert "take 2.00 h on 1 card; cutting takes 0.07 cores of the host" in project(100.0, 1)
    assert "take 0.25 h on 8 cards; cutting takes 0.56 cores of the host" in project(100.0, 8)
