"""The step against NumPy; training mode, precision."""

from dataclasses import replace

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn
from small_step import RATES, RECIPE, LinearNetwork, batch, numpy_loss
from tiny import TinyNetwork

from inceptionv4.checkpoint import network_parameters
from inceptionv4.dropout import KeyedDropout
from train.recipe import PRESETS
from train.step import SmoothedCrossEntropy, TrainStep, build_network, training_state

SEED_RECIPE = replace(PRESETS["adsl-8p"], ranks=1, batch_size=4, image_size=75)

GRAPH, OP_BY_OP = "graph", "op by op"


@pytest.fixture
def mode(request):
    """Compiled as in a run, or op by op, as a debugger follows it."""
    ms.set_context(mode={GRAPH: ms.GRAPH_MODE, OP_BY_OP: ms.PYNATIVE_MODE}[request.param])
    yield
    ms.set_context(mode=ms.GRAPH_MODE)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_the_loss_and_its_gradient_are_the_formulas(classes, smoothing):
    random = np.random.default_rng(classes)
    logits = random.normal(scale=3, size=(6, classes)).astype(np.float32)
    labels = random.integers(0, classes, 6).astype(np.int32)
    loss, gradient = ms.value_and_grad(SmoothedCrossEntropy(smoothing))(
        ms.Tensor(logits), ms.Tensor(labels))
    expected = numpy_loss(logits, labels, smoothing)
    assert loss.shape == ()
    np.testing.assert_allclose(loss.asnumpy(), expected[0], rtol=2e-6)
    np.testing.assert_allclose(gradient.asnumpy(), expected[1], atol=1e-6)


def adam(recipe, rates):
    """An update of Adam (arXiv 1412.6980), where epsilon is added to the uncorrected root."""
    moments = {"first": 0.0, "second": 0.0}

    def update(number, gradient):
        beta1, beta2 = recipe.momentum, recipe.decay
        moments["first"] = beta1 * moments["first"] + (1 - beta1) * gradient
        moments["second"] = beta2 * moments["second"] + (1 - beta2) * gradient ** 2
        rate = rates[number - 1] * np.sqrt(1 - beta2 ** number) / (1 - beta1 ** number)
        return rate * moments["first"] / (np.sqrt(moments["second"]) + recipe.epsilon)
    return update


def rmsprop(recipe, rates):
    """An update of TensorFlow's RMSProp: mean squares start at 1, epsilon is within the root."""
    state = {"mean_square": 1.0, "moment": 0.0}

    def update(number, gradient):
        state["mean_square"] = (recipe.decay * state["mean_square"]
                                + (1 - recipe.decay) * gradient ** 2)
        state["moment"] = recipe.momentum * state["moment"] + rates[number - 1] * gradient / (
            np.sqrt(state["mean_square"] + recipe.epsilon))
        return state["moment"]
    return update


@pytest.mark.parametrize("mode, optimizer, reference, values", [
    (GRAPH, "adam", adam, dict(momentum=0.7, decay=0.8, epsilon=0.02)),
    (GRAPH, "rmsprop", rmsprop, dict(momentum=0.6, decay=0.5, epsilon=0.01)),
    (OP_BY_OP, "rmsprop", rmsprop, dict(momentum=0.6, decay=0.5, epsilon=0.01)),
    (GRAPH, "rmsprop", rmsprop, dict(momentum=0.0, decay=0.9, epsilon=1.0))], indirect=["mode"])
def test_three_steps_are_those_of_numpy(mode, optimizer, reference, values):
    """Rates, loss scale, weight decay, label smoothing and the optimiser's values all count."""
    recipe = replace(RECIPE, optimizer=optimizer, loss_scale=64.0, weight_decay=0.3,
                     label_smoothing=0.2, **values)
    rates = np.array([0.5, 0.25, 0.125], np.float32)
    network = LinearNetwork(3)
    weight = np.random.default_rng(1).normal(size=(3, 3))
    network.classifier.weight.set_data(ms.Tensor(weight, ms.float32))
    step, update = TrainStep(recipe, network, rates), reference(recipe, rates)
    for number in (1, 2, 3):
        images, labels = batch(number)
        features = (images.asnumpy() / 127.5 - 1).mean(axis=(1, 2))
        loss, by_logits = numpy_loss(features @ weight.T, labels.asnumpy(), 0.2)
        np.testing.assert_allclose(float(step(images, labels)[0]), loss, rtol=1e-5)
        weight = weight - update(number, by_logits.T @ features + 0.3 * weight)
        np.testing.assert_allclose(network.classifier.weight.asnumpy(), weight, rtol=2e-5,
                                   atol=1e-6)


@pytest.mark.parametrize("mode", [GRAPH, OP_BY_OP], indirect=True)
def test_a_step_that_overflows_is_skipped_but_counted(mode):
    """The second of three: weights and averages stay, the third has its own rate."""
    recipe = replace(RECIPE, optimizer="rmsprop", decay=0.5, epsilon=0.01, momentum=0.6,
                     weight_decay=0.3, loss_scale="dynamic")
    rates = np.array([0.5, 0.25, 0.125], np.float32)
    network = LinearNetwork(3)
    weight = np.random.default_rng(1).normal(size=(3, 3))
    network.classifier.weight.set_data(ms.Tensor(weight, ms.float32))
    step, update = TrainStep(recipe, network, rates), rmsprop(recipe, rates)
    scales = []
    for number in (1, 2, 3):
        if number == 2:
            step.loss_scale.scale.set_data(ms.Tensor(np.inf, ms.float32))
        images, labels = batch(number)
        loss, skipped = step(images, labels)
        scales.append(step.current_loss_scale())
        assert bool(skipped) == (number == 2)
        if not skipped:
            features = (images.asnumpy() / 127.5 - 1).mean(axis=(1, 2))
            expected, by_logits = numpy_loss(features @ weight.T, labels.asnumpy(), 0.0)
            np.testing.assert_allclose(float(loss), expected, rtol=1e-5)
            weight = weight - update(number, by_logits.T @ features + 0.3 * weight)
        np.testing.assert_allclose(network.classifier.weight.asnumpy(), weight, rtol=2e-5,
                                   atol=1e-6)
    assert scales == [2.0 ** 16, 2.0 ** 24, 2.0 ** 24]  # infinity, halved, is cut to the highest
    assert int(step.optimizer.global_step) == 3


@pytest.mark.parametrize("mode, loss_scale", [(OP_BY_OP, 64.0), (OP_BY_OP, "dynamic")],
                         indirect=["mode"])
def test_a_step_of_two_ranks_with_the_same_images_is_that_of_one(mode, loss_scale):
    """The sum over the ranks is twice a rank's own, or its own where the other has no finite
    gradients."""
    ends = []
    for ranks, others in ((1, 0), (2, 1), (2, 0)):
        ms.set_seed(1)
        network = LinearNetwork(3)
        step = TrainStep(replace(RECIPE, loss_scale=loss_scale), network, RATES)
        step.ranks, step.sum_over_ranks = ranks, lambda value, sum=1 + others: value * sum
        loss, skipped = step(*batch())
        ends.append((float(loss), bool(skipped), network.classifier.weight.asnumpy().tolist()))
    one, two, half = ends
    assert two == one and not one[1]
    assert half[0] == pytest.approx(one[0] / 2) and half[1] == (loss_scale == "dynamic")
    assert (half[2] == one[2]) == (loss_scale != "dynamic")


class DroppingNetwork(LinearNetwork):
    """With dropout, and so with masks that depend on the keys."""

    def __init__(self, num_classes: int):
        super().__init__(num_classes)
        self.dropout = KeyedDropout(0.5, 3)

    def construct(self, x: ms.Tensor, keys: ms.Tensor) -> ms.Tensor:
        return self.classifier(self.dropout(x.mean((2, 3)), keys))


@pytest.mark.parametrize("mode, loss_scale", [
    (GRAPH, 64.0), (GRAPH, "dynamic"), (OP_BY_OP, "dynamic")], indirect=["mode"])
def test_batches_that_are_accumulated_make_the_update_of_the_joined_one(mode, loss_scale):
    ends, losses = [], []
    for parts in (1, 3):
        ms.set_seed(1)
        recipe = replace(RECIPE, batch_size=6 // parts, accumulate=parts, loss_scale=loss_scale,
                         weight_decay=0.1)
        network = DroppingNetwork(3)
        step = TrainStep(recipe, network, np.array([0.5, 0.2, 0.1], np.float32))
        for number in range(3):
            images, labels = batch(number, size=6)
            if number == 1 and loss_scale == "dynamic":  # the second of its parts overflows
                step.loss_scale.scale.set_data(ms.Tensor(np.inf, ms.float32))
            for part in np.split(np.arange(6), parts):
                loss, skipped = step(images[part.tolist()], labels[part.tolist()])
            assert bool(skipped) == (number == 1 and loss_scale == "dynamic")
            losses.append(0.0 if skipped else float(loss))
        assert int(step.optimizer.global_step) == 3
        assert not {"part", "sum.loss", "sum.classifier.weight"} & training_state(step).keys()
        ends.append(network.classifier.weight.asnumpy())
    np.testing.assert_allclose(losses[:3], losses[3:], rtol=1e-6)
    np.testing.assert_allclose(ends[0], ends[1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("mode", [GRAPH, OP_BY_OP], indirect=True)
def test_averages_follow_the_weights_as_tensorflows_do(mode):
    """Slowly at first no more than (1 + k) / (10 + k) allows; a skipped step leaves them."""
    recipe = replace(RECIPE, ema_decay=0.2, loss_scale="dynamic")
    network = LinearNetwork(3)
    step = TrainStep(recipe, network, np.full(4, 0.1, np.float32))
    average = network.classifier.weight.asnumpy().copy()
    for number in (1, 2, 3, 4):
        if number == 3:
            step.loss_scale.scale.set_data(ms.Tensor(np.inf, ms.float32))
        step(*batch(number))
        weight = network.classifier.weight.asnumpy()
        if number != 3:
            decay = {1: 2 / 11, 2: 0.2, 4: 0.2}[number]
            average = decay * average + (1 - decay) * weight
        found = training_state(step)["ema.classifier.weight"].asnumpy()
        np.testing.assert_allclose(found, average, atol=1e-6)
    before = weight.copy()
    with pytest.raises(KeyError), step.averages.in_the_network():
        np.testing.assert_array_equal(network.classifier.weight.asnumpy(), found)
        raise KeyError
    np.testing.assert_array_equal(network.classifier.weight.asnumpy(), before)


def test_biases_gamma_and_beta_do_not_decay():
    ends = {}
    for decay in (0.0, 0.1):
        ms.set_seed(1)
        network = TinyNetwork(3)
        recipe = replace(RECIPE, optimizer="rmsprop", momentum=0.0, epsilon=1.0, decay=0.0,
                         weight_decay=decay)
        TrainStep(recipe, network, RATES)(*batch())
        ends[decay] = {name: value.asnumpy() for name, value in network_parameters(network).items()}
    decayed = {name for name in ends[0.0] if not np.array_equal(ends[0.0][name], ends[0.1][name])}
    assert decayed == {"conv.weight", "classifier.weight"}


def test_one_seed_draws_the_same_first_weights_of_the_network_of_the_recipe():
    drawn = []
    for seed in (1, 1, 2):
        ms.set_seed(seed)
        network = build_network(replace(RECIPE, batch_norm_decay=0.7), 5)
        drawn.append({name: value.asnumpy()
                      for name, value in network_parameters(network).items()})
    first, again, other = drawn
    assert [name for name in first if not np.array_equal(first[name], again[name])] == []
    weights = [name for name in first if name.endswith("weight")]
    assert [name for name in weights if np.array_equal(first[name], other[name])] == []
    norms = [cell for _, cell in network.cells_and_names() if isinstance(cell, nn.BatchNorm2d)]
    assert len(norms) == 149 and {norm.momentum for norm in norms} == {1 - 0.7}
    assert first["classifier.bias"].shape == (5,) and network.dropout.keep == 0.5


@pytest.mark.parametrize("recipe", [RECIPE, SEED_RECIPE], ids=["smoke", "adsl-8p"])
def test_a_step_trains_all_weights_and_moves_the_averages(recipe):
    """Where the step does not put the network into training mode, they stay at 0 and 1."""
    network = TinyNetwork(3, recipe.batch_norm_decay, recipe.dropout_keep)
    before = {name: value.asnumpy().copy() for name, value in network_parameters(network).items()}
    step = TrainStep(recipe, network, RATES)
    step(*batch())
    after = network_parameters(network)
    assert before.keys() == after.keys()
    assert [name for name in before if np.array_equal(before[name], after[name].asnumpy())] == []


def test_host_normalising_gives_the_same_loss_and_mixed_precision_nearly():
    images, labels = batch()
    planes = (images.asnumpy().transpose(0, 3, 1, 2).astype(np.float32) - 127.5) / 127.5
    losses = []
    for changes, pixels in ((dict(), images), (dict(normalize_on="host"), ms.Tensor(planes)),
                            (dict(precision="mixed", loss_scale=128.0), images)):
        ms.set_seed(1)
        network = TinyNetwork(3)
        step = TrainStep(replace(RECIPE, **changes), network, RATES)
        losses.append(float(step(pixels, labels)[0]))
        assert all(value.dtype == ms.float32 for value in network.trainable_params())
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
    assert losses[2] != losses[0] and losses[2] == pytest.approx(losses[0], rel=1e-2)
