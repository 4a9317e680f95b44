"""Gradients of a batch, example by example, on one device or shared out among many."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from jqc.devices import AXIS
from jqc.typing import Array, Bool, Float

ExampleLoss = Callable[[Any, Any, Array], tuple[Float[Array, ""], dict[str, Float[Array, ""]]]]
"""Parameters, one example, key → loss and named metrics."""

Sums = Callable[..., Any]
"""Parameters, examples, their keys, and which of them count → sums over those."""


def one_by_one(loss: ExampleLoss, mesh: Mesh | None = None) -> ExampleLoss:
    """The mean loss over a batch with a leading axis, in the memory of one example.

    Each example's gradient is taken while its values are at hand: intermediates of one example only are held, and none
    is computed twice. Only the parameters' derivative of the loss is known.

    The devices of a mesh (`jqc.devices.mesh`) take the examples in equal shares, each its own one by one, and add up
    once at the end. Where the shares are not even, some examples are computed once more and count for nothing.

    >>> square = one_by_one(lambda w, x, key: ((w * x) ** 2, {}))
    >>> batch = jnp.asarray([1.0, 3.0])
    >>> float(jax.grad(square, has_aux=True)(1.0, batch, jax.random.key(0))[0])
    10.0
    """

    @jax.custom_vjp
    def mean(parameters, batch, key):
        return _mean(partial(_values, loss), mesh, parameters, batch, key)

    def forward(parameters, batch, key):
        return _mean(partial(_values_and_gradient, loss), mesh, parameters, batch, key)

    def backward(gradient, cotangents):
        return jax.tree.map(lambda each: (cotangents[0] * each).astype(each.dtype), gradient), None, None

    mean.defvjp(forward, backward)
    return mean


def _mean(sums: Sums, mesh: Mesh | None, parameters: Any, batch: Any, key: Array) -> Any:
    """Sums over all examples, divided by their number."""
    count, devices = jax.tree.leaves(batch)[0].shape[0], mesh.size if mesh else 1
    length = -(-count // devices) * devices
    examples = batch, jax.random.split(key, count)
    if length > count:  # the first ones again
        rows = jnp.arange(length) % count
        examples = jax.tree.map(lambda leaf: leaf[rows], examples)
    total = _over(mesh, sums)(parameters, *examples, jnp.arange(length) < count)
    return jax.tree.map(lambda each: each / count, total)


def _over(mesh: Mesh | None, sums: Sums) -> Sums:
    """The sums of every device's share, added up."""
    if mesh is None or mesh.size == 1:
        return sums
    rows, whole = PartitionSpec(AXIS), PartitionSpec()
    return jax.shard_map(
        lambda *share: jax.lax.psum(sums(*share), AXIS),
        mesh=mesh,
        in_specs=(whole, rows, rows, rows),
        out_specs=whole,
        check_vma=False,  # a loss may hold loops that begin with constants, which the check takes for shared values
    )


def _values(loss: ExampleLoss, parameters: Any, examples: Any, keys: Array, counts: Bool[Array, "example"]) -> Any:
    values = jax.lax.map(lambda item: loss(parameters, *item), (examples, keys))
    return _total(values, counts)


def _values_and_gradient(
    loss: ExampleLoss, parameters: Any, examples: Any, keys: Array, counts: Bool[Array, "example"]
) -> Any:
    def add(total, item):
        *item, counts = item
        values, gradient = jax.value_and_grad(loss, has_aux=True)(parameters, *item)
        return jax.tree.map(lambda sum_, each: sum_ + jnp.where(counts, each, 0), total, gradient), values

    start = jax.tree.map(jnp.zeros_like, parameters)
    total, values = jax.lax.scan(add, start, (examples, keys, counts))
    return _total(values, counts), total


def _total(values: Any, counts: Bool[Array, "example"]) -> Any:
    return jax.tree.map(lambda each: jnp.sum(jnp.where(counts, each, 0), axis=0), values)
