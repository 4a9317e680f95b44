"""One training step as a pure function of state and batch.

A step whose loss or gradients are not finite changes nothing but the two counters.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jqc.errors import TrainingError
from jqc.training.batches import Batch
from jqc.training.optimizer import averaging, learning_rate, optimizer
from jqc.training.settings import TrainingSettings
from jqc.typing import Array, Float, Int

Parameters = Any
"""A pytree of arrays of floating-point numbers."""

Key = Array
"""A random key, of `jax.random.key`."""

Terms = dict[str, Float[Array, ""]]
"""Named parts of a loss, or anything else worth a curve."""

Loss = Callable[[Parameters, Batch, Key], tuple[Float[Array, ""], Terms]]
"""Mean over the examples of a batch, and terms that are means over them too."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """All that a step reads and writes besides the batch.

    `step` counts batches seen, `skipped` those that were not finite. `average` is the moving average of `parameters`.
    `sums` adds up loss, gradient norm and terms of the `summed` finite steps since the last record.
    """

    step: Int[Array, ""]
    skipped: Int[Array, ""]
    parameters: Parameters
    average: Parameters
    optimizer: optax.OptState
    sums: dict[str, Any]
    summed: Int[Array, ""]


def init(loss: Loss, parameters: Parameters, batch: Batch, settings: TrainingSettings) -> TrainState:
    """The state before the first step; `parameters` are copied.

    Raises:
        TrainingError: nothing to train, something that is no floating-point array, or a loss of another form.
    """
    check_parameters(parameters)
    parameters = jax.tree.map(jnp.array, parameters)
    value = jax.eval_shape(loss, parameters, batch, jax.random.key(0))
    match value:
        case (jax.ShapeDtypeStruct(shape=()), dict(terms)) if all(term.shape == () for term in terms.values()):
            pass
        case _:
            raise TrainingError(f"the loss returns {value}; return its mean and a dict of means, all scalars.")
    zero = jnp.zeros((), jnp.int32)
    return TrainState(
        step=zero,
        skipped=zero.copy(),
        parameters=parameters,
        average=jax.tree.map(jnp.array, parameters),
        optimizer=optimizer(settings).init(parameters),
        sums=_zeros(terms),
        summed=zero.copy(),
    )


def check_parameters(parameters: Parameters) -> None:
    """Refuse what cannot be trained.

    Raises:
        TrainingError: no array, or one that is empty or not of floating-point numbers.
    """
    leaves = jax.tree_util.tree_leaves_with_path(parameters)
    if not leaves:
        raise TrainingError("the parameters hold no array; give something with parameters to train.")
    for path, leaf in leaves:
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating) or jnp.size(leaf) == 0:
            raise TrainingError(
                f"parameter {jax.tree_util.keystr(path)} is {jnp.result_type(leaf)} of shape {jnp.shape(leaf)}; "
                "only filled arrays of floating-point numbers can be trained."
            )


def step(
    loss: Loss, settings: TrainingSettings, state: TrainState, batch: Batch, key: Key
) -> tuple[TrainState, dict[str, Array]]:
    """State after a batch, and `loss` and `learning_rate` of this step.

    The loss receives `fold_in(key, state.step)`. With g the gradient, P the parameters, A their average and a(n) from
    `averaging`, P ← P + AdamW(clip(g)) and A ← a A + (1 − a) P.
    """
    differentiate = jax.value_and_grad(loss, has_aux=True)
    (value, terms), gradient = differentiate(state.parameters, batch, jax.random.fold_in(key, state.step))
    norm = optax.tree.norm(gradient)
    updates = state.step - state.skipped
    change, moments = optimizer(settings).update(gradient, state.optimizer, state.parameters)
    parameters = optax.apply_updates(state.parameters, change)
    average = jax.tree.map(partial(_mixed, averaging(settings, updates)), state.average, parameters)
    old = (state.parameters, state.average, state.optimizer, state.sums)
    new = (parameters, average, moments, _added(state.sums, value, norm, terms))
    finite = jnp.isfinite(value) & jnp.isfinite(norm)
    parameters, average, moments, sums = jax.tree.map(partial(jnp.where, finite), new, old)
    state = TrainState(
        step=state.step + 1,
        skipped=state.skipped + ~finite,
        parameters=parameters,
        average=average,
        optimizer=moments,
        sums=sums,
        summed=state.summed + finite,
    )
    return state, {"loss": value, "learning_rate": jnp.asarray(learning_rate(settings)(updates))}


def without_sums(state: TrainState) -> TrainState:
    """The state after a record: nothing summed."""
    return replace(state, sums=jax.tree.map(jnp.zeros_like, state.sums), summed=jnp.zeros_like(state.summed))


def _mixed(share: Float[Array, ""], old: Array, new: Array) -> Array:
    share = share.astype(old.dtype)
    return share * old + (1 - share) * new


def _zeros(terms: Terms) -> dict[str, Any]:
    zero = jnp.zeros((), float)
    return {"loss": zero, "gradient_norm": zero.copy(), "terms": {name: zero.copy() for name in terms}}


def _added(sums: dict[str, Any], value: Array, norm: Array, terms: Terms) -> dict[str, Any]:
    if terms.keys() != sums["terms"].keys():
        raise TrainingError(
            f"the loss names terms {sorted(terms)} for one class and {sorted(sums['terms'])} for another; "
            "name the same for all."
        )
    return jax.tree.map(jnp.add, sums, {"loss": value, "gradient_norm": norm, "terms": terms})
