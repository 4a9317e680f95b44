"""Gradients of a batch, example by example."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jqc.typing import Array, Float

ExampleLoss = Callable[[Any, Any, Array], tuple[Float[Array, ""], dict[str, Float[Array, ""]]]]
"""Parameters, one example, key → loss and named metrics."""


def one_by_one(loss: ExampleLoss) -> ExampleLoss:
    """The mean loss over a batch with a leading axis, in the memory of one example.

    Each example's gradient is taken while its values are at hand: intermediates of one example only are held, and none
    is computed twice. Only the parameters' derivative of the loss is known.

    >>> square = one_by_one(lambda w, x, key: ((w * x) ** 2, {}))
    >>> batch = jnp.asarray([1.0, 3.0])
    >>> float(jax.grad(square, has_aux=True)(1.0, batch, jax.random.key(0))[0])
    10.0
    """

    @jax.custom_vjp
    def mean(parameters, batch, key):
        values = jax.lax.map(lambda item: loss(parameters, *item), (batch, _keys(batch, key)))
        return jax.tree.map(jnp.mean, values)

    def forward(parameters, batch, key):
        def add(total, item):
            values, gradient = jax.value_and_grad(loss, has_aux=True)(parameters, *item)
            return jax.tree.map(jnp.add, total, gradient), values

        start = jax.tree.map(jnp.zeros_like, parameters)
        total, values = jax.lax.scan(add, start, (batch, _keys(batch, key)))
        return jax.tree.map(jnp.mean, values), jax.tree.map(lambda each: each / _length(batch), total)

    def backward(gradient, cotangents):
        return jax.tree.map(lambda each: (cotangents[0] * each).astype(each.dtype), gradient), None, None

    mean.defvjp(forward, backward)
    return mean


def _length(batch: Any) -> int:
    return jax.tree.leaves(batch)[0].shape[0]


def _keys(batch: Any, key: Array) -> Array:
    return jax.random.split(key, _length(batch))
