"""A network over a record set: the same as crop by crop, and every image exactly once."""

import itertools
import threading
from dataclasses import replace

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops
from small import converted, cut_one_by_one, draw_image

from common.cli import RequestError
from evaluate.evaluator import Evaluator, check_finite, check_rows, step_shape
from evaluate.predictions import gather_predictions
from evaluate.protocols import protocol_of
from evaluate.views import decode_rgb, prepared_rows, read_rows

MEAN = STD = (127.5, 127.5, 127.5)


def evaluator_of(network, crops, views_per_step=72):
    return Evaluator(network, protocol_of(crops, 75), MEAN, STD, views_per_step, workers=2)


@pytest.fixture(scope="module")
def single(network):
    """Steps of four images: the last group of the seven holds three."""
    return evaluator_of(network, crops=1, views_per_step=4)


@pytest.mark.parametrize("views, at_most, expected", [
    (1, 1, (1, 1)), (1, 72, (72, 72)), (5, 72, (14, 70)), (6, 72, (12, 72)),
    (72, 1, (1, 1)), (72, 7, (1, 6)), (72, 71, (1, 36)), (72, 72, (1, 72)), (72, 150, (2, 144))])
def test_the_largest_step_that_leaves_no_view_empty(views, at_most, expected):
    assert step_shape(views, at_most) == expected


def probabilities_one_by_one(network, views):
    """Probabilities (views, classes) of uint8 views, without the code under test."""
    network.set_train(False)
    inputs = views.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
    logits = network(ms.Tensor(inputs)).asnumpy().astype(np.float64)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("crops, views_per_step", [(1, 4), (12, 5), (12, 24), (144, 48)])
def test_probabilities_are_those_of_the_slow_way(network, every_kind, crops, views_per_step):
    """Landscape, portrait, square, grayscale, CMYK, smaller than a crop, long and huge."""
    predictions = evaluator_of(network, crops, views_per_step).run(every_kind)
    assert predictions.images == 9
    for row in read_rows(every_kind):
        views = cut_one_by_one(decode_rgb(row.image), protocol_of(crops, 75))
        expected = probabilities_one_by_one(network, views).mean(axis=0)
        position = int(np.flatnonzero(predictions.image_id == row.image_id)[0])
        best = predictions.top5[position]
        assert predictions.top5_prob[position] == pytest.approx(expected[best], abs=1e-5)
        assert best[0] == expected.argmax()


def test_op_by_op_the_probabilities_are_the_same(network, records):
    """As a debugger follows it, with nothing compiled."""
    compiled = evaluator_of(network, crops=12, views_per_step=6).run(records)
    ms.set_context(mode=ms.PYNATIVE_MODE)
    try:
        found = evaluator_of(network, crops=12, views_per_step=6).run(records)
    finally:
        ms.set_context(mode=ms.GRAPH_MODE)
    np.testing.assert_allclose(found.top5_prob, compiled.top5_prob, atol=1e-5)
    assert np.array_equal(found.top5, compiled.top5)


def test_crops_of_an_image_differ_so_that_the_comparison_means_something(network):
    views = cut_one_by_one(draw_image(120, 90), protocol_of(144, 75))
    assert np.std(probabilities_one_by_one(network, views[:12]), axis=0).max() > 0.01


class Loss(nn.Cell):
    """A loss over the network that is evaluated, as a trainer builds it."""

    def __init__(self, network):
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, inputs):
        return ops.square(self.network(inputs)).mean()


def test_between_training_steps_nothing_is_compiled_again_and_the_network_stays_in_training(
        single, network, records):
    step = nn.TrainOneStepCell(Loss(network), nn.SGD(network.trainable_params(), 1e-4))
    step.set_train()
    inputs = ms.Tensor(np.random.default_rng(0).normal(size=(4, 3, 75, 75)).astype(np.float32))
    results = []
    for _ in range(3):
        step(inputs)
        results.append(single.run(records).top5_prob)
        assert network.training
    network.set_train(False)
    assert np.array_equal(single.run(records).top5_prob, results[2])
    assert not network.training
    assert not np.array_equal(results[0], results[2])
    for cell in (step, single.classifier):
        assert len(cell.compile_cache) == 1


def test_an_image_that_cannot_be_decoded_is_named(single, source, tmp_path):
    damaged = converted(source, tmp_path / "val", shards=1)
    path = damaged.folder / damaged.manifest.shards[0].file
    third = (source / "val" / "ILSVRC2012_val_00000003.JPEG").read_bytes()
    content = path.read_bytes()
    assert content.count(third) == 1
    path.write_bytes(content.replace(third, bytes(len(third))))
    with pytest.raises(RequestError, match="image id 3 of .*val cannot be decoded.*verify --deep"):
        single.run(damaged)


def test_rows_that_the_manifest_does_not_know_are_refused(single, records):
    other = replace(records, manifest=replace(records.manifest, rows_sha256="0" * 64))
    with pytest.raises(RequestError, match="ids, labels or blacklist flags.*convert verify"):
        single.run(other)


def test_another_number_of_rows_is_refused_before_the_network_runs(single, records):
    other = replace(records, manifest=replace(records.manifest, images=8))
    with pytest.raises(RequestError, match="holds 7 rows, its manifest says 8"):
        single.run(other)


@pytest.mark.parametrize("change", [
    lambda rows: rows[:-1],                                          # missing
    lambda rows: rows[:-1] + [rows[-1]._replace(image_id=70)],       # unknown
    lambda rows: rows[:-1] + [rows[-1]._replace(label=2)],
    lambda rows: rows[:-1] + [rows[-1]._replace(blacklisted=True)]])
def test_rows_are_compared_with_what_was_converted(records, change):
    rows = list(read_rows(records))
    check_rows(records, predictions_of(rows))
    check_rows(records, predictions_of(rows[::-1]))
    with pytest.raises(RequestError, match="are not the 7 of its manifest"):
        check_rows(records, predictions_of(change(rows)))


def predictions_of(rows):
    return gather_predictions([row.image_id for row in rows], [row.label for row in rows],
                              [row.blacklisted for row in rows],
                              np.ones((len(rows), 3), np.float32))


@pytest.mark.parametrize("part", [range(0, 7), range(2, 5), range(6, 7)])
def test_a_part_of_the_rows_is_read_in_file_order(records, part):
    every = [row.image_id for row in read_rows(records)]
    assert [row.image_id for row in read_rows(records, part)] == every[part.start:part.stop]


def test_outputs_that_are_not_numbers_are_named_by_image_id():
    views = np.full((3, 2, 2), .5, np.float32)  # 3 images of 2 crops
    check_finite([30, 10, 20], views)
    views[1, 0, 0], views[2, 1, 1] = np.nan, np.inf
    with pytest.raises(RequestError, match=r"not numbers for image id 10, 20:"):
        check_finite([30, 10, 20], views)


def test_a_curves_points_are_means_over_the_first_crops_and_end_with_the_result(network, records):
    protocol = protocol_of(12, 75)
    plain, curve = (Evaluator(network, protocol, MEAN, STD, 12, 2, curve=asked).run(records)
                    for asked in (False, True))
    assert plain.label_rank is None and curve.label_rank.shape == (7, 6)
    assert np.array_equal(plain.top5_prob, curve.top5_prob)
    places = (curve.top5 == curve.label[:, None]).argmax(axis=1)  # three classes: always there
    assert np.array_equal(curve.label_rank[:, -1], places)
    for row in read_rows(records):
        views = cut_one_by_one(decode_rgb(row.image), protocol)
        each = probabilities_one_by_one(network, views)
        ranks = curve.label_rank[int(np.flatnonzero(curve.image_id == row.image_id)[0])]
        for crops, rank in zip(protocol.curve, ranks):
            shares = each[:crops].mean(axis=0)
            assert (shares > shares[row.label] + 1e-5).sum() <= rank
            assert rank <= (shares > shares[row.label] - 1e-5).sum()


def test_records_that_cannot_be_read_to_their_end_end_the_process(single, records, monkeypatch):
    errors, ended = [], threading.Event()

    def hang(*asked, **options):
        yield from itertools.islice(prepared_rows(*asked, **options), 4)
        assert ended.wait(60)
        raise TimeoutError
    monkeypatch.setattr("evaluate.evaluator.prepared_rows", hang)
    monkeypatch.setattr("common.deadline.SECONDS_WITHOUT_IMAGES", 0.5)
    monkeypatch.setattr("common.deadline.end_process",
                        lambda error: errors.append(str(error)) or ended.set())
    assert next(single.classify(records, [range(4)])) and errors == []
    with pytest.raises(TimeoutError):
        list(single.classify(records, [range(7)]))
    assert errors == [f"{records.folder} gave no image for 0.5 s, from row 4 on; check that the "
                      "storage of the images answers"]
