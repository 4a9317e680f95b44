"""Gradients example by example: those of the plain mean, in any precision, inside other transformations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jqc.training import TrainingSettings, fit
from jqc.training.accumulate import one_by_one

ROUNDING = {jnp.float32: 1e-6, jnp.float64: 1e-14}
"""Relative; sums in another order."""

KEY = jax.random.key(5)


def loss(parameters, example, key):
    """Of one example; the key matters."""
    noise = 0.1 * jax.random.normal(key, example["x"].shape, example["x"].dtype)
    error = jnp.tanh((example["x"] + noise) @ parameters["w"]) + parameters["b"] - example["y"]
    return jnp.sum(error**2), {"absolute": jnp.abs(error).sum(), "largest": jnp.abs(error).max()}


def plain_mean(parameters, batch, key):
    keys = jax.random.split(key, len(batch["y"]))
    return jax.tree.map(jnp.mean, jax.vmap(loss, in_axes=(None, 0, 0))(parameters, batch, keys))


def numbers(dtype, size: int):
    random = np.random.default_rng(size)
    draw = lambda *shape: jnp.asarray(random.normal(size=shape), dtype)  # noqa: E731
    return {"w": draw(3, 2), "b": draw(2)}, {"x": draw(size, 3), "y": draw(size, 2)}


def close(found, expected, dtype):
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert one.dtype == dtype
        np.testing.assert_allclose(one, other, rtol=ROUNDING[dtype], atol=ROUNDING[dtype])


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("transform", [lambda function: function, jax.jit])
def test_value_metrics_and_gradient_are_those_of_the_mean(dtype, size, transform):
    parameters, batch = numbers(dtype, size)
    close(transform(one_by_one(loss))(parameters, batch, KEY), plain_mean(parameters, batch, KEY), dtype)
    found = transform(jax.value_and_grad(one_by_one(loss), has_aux=True))(parameters, batch, KEY)
    close(found, jax.value_and_grad(plain_mean, has_aux=True)(parameters, batch, KEY), dtype)


def test_gradients_have_the_parameters_precision_whatever_the_losss_is():
    parameters, _ = numbers(jnp.float32, 3)
    _, batch = numbers(jnp.float64, 3)
    parameters["b"] = parameters["b"].astype(jnp.float64)
    value, gradient = jax.value_and_grad(lambda p: one_by_one(loss)(p, batch, KEY)[0])(parameters)
    assert (value.dtype, gradient["w"].dtype, gradient["b"].dtype) == (jnp.float64, jnp.float32, jnp.float64)
    expected = jax.grad(lambda p: plain_mean(p, batch, KEY)[0])(parameters)
    np.testing.assert_allclose(gradient["w"], expected["w"], rtol=ROUNDING[jnp.float32])


def test_what_is_done_with_the_mean_reaches_the_gradient():
    parameters, batch = numbers(jnp.float64, 3)
    square = lambda mean: lambda p: 0.5 * mean(p, batch, KEY)[0] ** 2  # noqa: E731
    close(jax.grad(square(one_by_one(loss)))(parameters), jax.grad(square(plain_mean))(parameters), jnp.float64)


def test_every_example_has_a_key_of_its_own():
    parameters, batch = numbers(jnp.float64, 1)
    twice = jax.tree.map(lambda leaf: jnp.repeat(leaf, 2, axis=0), batch)
    once, other = one_by_one(loss)(parameters, batch, KEY)[0], one_by_one(loss)(parameters, twice, KEY)[0]
    assert abs(once - other) > 1e-3


def test_it_trains_like_the_mean(tmp_path):
    parameters, batch = numbers(jnp.float64, 6)
    batch = jax.tree.map(np.asarray, batch)
    settings = TrainingSettings(steps=5, batch_size=3, checkpoint_every=5)
    fitted = [
        fit(each, parameters, [batch], [], settings, tmp_path / name).parameters
        for name, each in (("one", one_by_one(loss)), ("mean", plain_mean))
    ]
    for one, other in zip(*map(jax.tree.leaves, fitted), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_memory_does_not_grow_with_the_batch():
    """Temporaries of the compiled gradient, but for keys and a few numbers of every example."""

    def wide(w, x, key):
        return jnp.sum(jnp.tanh(jnp.outer(x, w)) ** 2), {}

    def temporaries(size):
        function = jax.jit(jax.grad(one_by_one(wide), has_aux=True))
        compiled = function.lower(jnp.ones(200), jnp.ones((size, 300)), KEY).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert temporaries(16) < 1.2 * temporaries(2)
