"""The naive way gives the crops that ours gives; both and a whole run are timed."""

import numpy as np
from mindspore import nn

from benchmarks.crops import benchmark_host, benchmark_run, naive_views, project
from benchmarks.synthetic import make_class_folders
from evaluate.protocols import protocol_of
from evaluate.views import cut_squares, decode_rgb


def test_the_naive_way_makes_the_same_crops(tmp_path):
    make_class_folders(tmp_path / "images", 1)
    path, = tmp_path.glob("*/train/*/*")
    protocol = protocol_of(144, 75)
    views = naive_views(path.read_bytes(), protocol)
    assert views.shape == (144, 3, 75, 75) and views.dtype == np.float32
    squares = cut_squares(decode_rgb(path.read_bytes()), protocol)
    for scale in range(4):  # the first square's first corner, plain and mirrored
        corner = squares[scale][0, :75, :75].astype(np.float32).transpose(2, 0, 1) / 127.5 - 1
        assert np.array_equal(views[36 * scale], corner)
        assert np.array_equal(views[36 * scale + 1], corner[:, :, ::-1])


def test_the_hosts_rows_are_compared_with_the_naive_way(tmp_path):
    table = benchmark_host(tmp_path / "work", images=1, repeats=1)
    naive, ours, decoding = (row.median for row in table.rows)
    assert naive > ours > decoding > 0
    assert table.rows[1].note.startswith(f"{naive / ours:.0f} x the naive way, ")


class SmallNetwork(nn.Cell):
    def __init__(self, classes):
        super().__init__()
        self.layers = nn.SequentialCell(nn.Conv2d(3, classes, 25, 25, "valid"),
                                        nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def construct(self, inputs):
        return self.layers(inputs)


def test_a_whole_run_says_how_long_its_network_waits(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.crops.InceptionV4", SmallNetwork)
    table = benchmark_run(tmp_path / "work", images=1, repeats=1, image_size=75, device="CPU")
    assert [len(row.seconds) for row in table.rows] == [1, 1] and table.items == 144
    assert "against the bare network; waits for data" in table.rows[1].note
    assert not (tmp_path / "work").exists()


def test_the_projection_is_arithmetic():
    assert "take 2.00 h on 1 card; cutting keeps 0.07 host cores" in project(100.0, 1)
    assert "take 0.25 h on 8 cards; cutting keeps 0.56 host cores" in project(100.0, 8)
