"""One step against arithmetic by hand: clip, AdamW, moving average, schedule, and steps that are not finite."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jqc.errors import TrainingError
from jqc.training import TrainingSettings
from jqc.training.optimizer import learning_rate
from jqc.training.step import init, step, without_sums

ROUNDING = {np.float32: 2e-6, np.float64: 1e-12}
"""Relative; a few operations on numbers of order one."""

KEY = jax.random.key(0)


def linear(parameters, batch, key):
    """A loss whose gradient is the mean of the batch."""
    value = jnp.mean(batch @ parameters)
    return value, {"twice": 2 * value}


def by_hand(gradients, start, settings):
    """Parameters and average after all gradients (AdamW: Loshchilov & Hutter, arXiv 1711.05101, algorithm 2)."""
    p, m, v, average = start.astype(float), 0.0, 0.0, start.astype(float)
    rate = learning_rate(settings)
    for n, g in enumerate(gradients):
        g = g * min(1.0, settings.clip / np.linalg.norm(g))
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        hat_m, hat_v = m / (1 - 0.9 ** (n + 1)), v / (1 - 0.999 ** (n + 1))
        p = p - float(rate(jnp.int32(n))) * (hat_m / (np.sqrt(hat_v) + 1e-8) + settings.weight_decay * p)
        share = min(settings.ema, (1 + n) / (10 + n))
        average = share * average + (1 - share) * p
    return p, average


@pytest.mark.parametrize("dtype", ROUNDING)
def test_steps_equal_those_by_hand(dtype):
    settings = TrainingSettings(steps=20, learning_rate=0.1, warmup=3, weight_decay=0.05, clip=1.5, ema=0.3)
    gradients = np.random.default_rng(0).normal(size=(8, 4))
    assert (np.linalg.norm(gradients, axis=1) > settings.clip).any()
    assert (np.linalg.norm(gradients, axis=1) < settings.clip).any()
    start = np.array([1.0, -2.0, 0.5, 3.0], dtype)
    state = init(linear, start, gradients[:1].astype(dtype), settings)
    for gradient in gradients.astype(dtype):
        state, _ = step(linear, settings, state, gradient[None], KEY)
    parameters, average = by_hand(gradients, start, settings)
    assert state.parameters.dtype == state.average.dtype == dtype
    np.testing.assert_allclose(state.parameters, parameters, rtol=ROUNDING[dtype])
    np.testing.assert_allclose(state.average, average, rtol=ROUNDING[dtype])


@pytest.mark.parametrize(
    ("schedule", "half", "last"), [("constant", 1.0, 1.0), ("cosine", 0.505, 0.01), ("exponential", 0.1, 0.01)]
)
def test_schedules(schedule, half, last):
    rate = learning_rate(TrainingSettings(steps=110, warmup=10, learning_rate=2.0, schedule=schedule, decay=0.01))
    rising = [float(rate(t)) for t in range(10)]
    np.testing.assert_allclose(rising, 2.0 * np.arange(1, 11) / 11, rtol=1e-6)  # optax counts in single precision
    for t, share in ((10, 1.0), (60, half), (110, last)):
        assert float(rate(t)) == pytest.approx(2.0 * share, rel=1e-6)


def test_sums_run_from_record_to_record():
    settings = TrainingSettings(steps=10)
    batch = np.ones((2, 3))
    state = init(linear, np.zeros(3), batch, settings)
    values = []
    for _ in range(3):
        state, info = step(linear, settings, state, batch, KEY)
        values.append(float(info["loss"]))
    assert int(state.summed) == 3
    assert float(state.sums["loss"]) == pytest.approx(sum(values))
    assert float(state.sums["terms"]["twice"]) == pytest.approx(2 * sum(values))
    assert float(state.sums["gradient_norm"]) == pytest.approx(3 * np.sqrt(3))
    state = without_sums(state)
    assert [float(leaf) for leaf in jax.tree.leaves((state.sums, state.summed))] == [0.0] * 4


BAD = {
    "loss": lambda p, batch, key: (jnp.sum(p) * jnp.log(batch[0, 0]), {}),
    "gradient": lambda p, batch, key: (jnp.sum(jnp.sqrt(jnp.abs(p * batch[0, 0]))), {}),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_not_finite_changes_nothing_and_is_counted(kind):
    settings = TrainingSettings(steps=10)
    good, bad = np.full((1, 3), 2.0), np.zeros((1, 3))
    state = init(BAD[kind], np.ones(3), good, settings)
    state, _ = step(BAD[kind], settings, state, good, KEY)
    after, _ = step(BAD[kind], settings, state, bad, KEY)
    assert int(after.skipped) == 1
    assert int(after.step) == 2
    untouched = replace(after, step=state.step, skipped=state.skipped)
    for old, new in zip(jax.tree.leaves(state), jax.tree.leaves(untouched), strict=True):
        np.testing.assert_array_equal(old, new)
    on, _ = step(BAD[kind], settings, after, good, KEY)
    assert not np.array_equal(on.parameters, after.parameters)
    assert int(on.skipped) == 1


def test_the_loss_receives_a_key_of_its_step():
    def noise(p, batch, key):
        return jnp.sum(p) * 0.0 + jax.random.normal(key), {}

    settings = TrainingSettings(steps=10)
    state = init(noise, np.ones(1), np.ones((1, 1)), settings)
    for at in range(3):
        state, info = step(noise, settings, state, np.ones((1, 1)), KEY)
        assert info["loss"] == jax.random.normal(jax.random.fold_in(KEY, at))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Line:
    """A model that is a pytree itself."""

    slope: jax.Array
    offset: jax.Array


def test_parameters_are_copied_and_may_be_any_pytree():
    model = Line(jnp.ones(()), jnp.zeros(2))
    settings = TrainingSettings(steps=10)

    def loss(line, batch, key):
        return jnp.mean((line.slope * batch + line.offset) ** 2), {}

    state = init(loss, model, np.ones((4, 2)), settings)
    state, _ = jax.jit(lambda s: step(loss, settings, s, np.ones((4, 2)), KEY), donate_argnums=0)(state)
    assert isinstance(state.parameters, Line)
    assert float(model.slope) == 1.0


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "the parameters hold no array"),
        ({"w": np.arange(3)}, r"parameter \['w'\] is int64 of shape \(3,\)"),
        ({"w": np.zeros((0, 3))}, r"parameter \['w'\] is float64 of shape \(0, 3\)"),
    ],
)
def test_parameters_that_cannot_be_trained_are_refused(parameters, message):
    with pytest.raises(TrainingError, match=message):
        init(linear, parameters, np.ones((1, 3)), TrainingSettings())


@pytest.mark.parametrize(
    "loss",
    [
        lambda p, batch, key: jnp.sum(p),
        lambda p, batch, key: (batch @ p, {}),
        lambda p, batch, key: (jnp.sum(p), {"each": batch @ p}),
        lambda p, batch, key: (jnp.sum(p), jnp.sum(p)),
    ],
)
def test_a_loss_of_another_form_is_refused(loss):
    with pytest.raises(TrainingError, match=r"^the loss returns .*; return its mean and a dict of means"):
        init(loss, np.ones(3), np.ones((2, 3)), TrainingSettings())
