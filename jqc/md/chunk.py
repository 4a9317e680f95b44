"""Many steps at a time: one compiled program for any number of frames, or a loop on the host."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from jqc.md.ensembles.base import Ensemble
from jqc.md.motion import Time
from jqc.md.potential import HostPotential, Potential, Properties, with_forces_of_host
from jqc.md.segment import is_crowded
from jqc.md.state import State
from jqc.md.step import Frames, counted, frame_of, step
from jqc.md.walkers import walkers_of, with_longer_lists
from jqc.typing import Array, Int


def run_chunk(
    potential: Potential | HostPotential,
    ensemble: Ensemble,
    state: State,
    dt: float,
    stride: int,
    count: int,
    length: int,
) -> tuple[State, Frames]:
    """`count` times `stride` steps, and a frame after each stride; frames have room for `length`.

    Where a list of neighbours was too short the chunk is done again from its beginning, with a longer one.
    """
    if isinstance(potential, HostPotential):
        return _on_host(potential, ensemble, state, dt, stride, count)
    while True:
        there, frames = advance(potential, ensemble, state, dt, jnp.asarray(stride), jnp.asarray(count), length)
        if not is_crowded(there):
            return there, jax.tree.map(lambda all: all[:count], frames)
        state = with_longer_lists(state)


@partial(jax.jit, static_argnames="length")
def advance(
    potential: Potential, ensemble: Ensemble, state: State, dt: Time, stride: Int[Array, ""], count, length: int
) -> tuple[State, Frames]:
    """`count` times `stride` steps, with a frame after each stride; there is room for `length` frames.

    Walkers are the second axis of frames.
    """
    one = lambda state: _advance(potential, ensemble, state, dt, stride, count, length)  # noqa: E731
    return one(state) if walkers_of(state) is None else jax.vmap(one, out_axes=(0, 1))(state)


def _advance(
    potential: Potential, ensemble: Ensemble, state: State, dt: Time, stride: Int[Array, ""], count, length: int
) -> tuple[State, Frames]:
    one = lambda _, state: step(potential, ensemble, state, dt)  # noqa: E731

    def record(number, carry):
        state, frames = carry
        state = jax.lax.fori_loop(0, stride, one, state)
        frame = frame_of(state, properties_of(potential, state))
        return state, jax.tree.map(lambda all, new: all.at[number].set(new), frames, frame)

    shapes = jax.eval_shape(lambda state: frame_of(state, properties_of(potential, state)), state)
    empty = jax.tree.map(lambda shape: jnp.zeros((length, *shape.shape), shape.dtype), shapes)
    return jax.lax.fori_loop(0, count, record, (state, empty))


def properties_of(potential: Potential, state: State) -> Properties:
    """What a compiled potential tells besides its energy."""
    own: Callable[..., Properties] | None = getattr(potential, "properties", None)
    return {} if own is None else own(state.positions, state.cell, state.neighbours)


_before = jax.jit(lambda ensemble, state, dt: ensemble.before(state, dt))
_after = jax.jit(lambda ensemble, state, dt: counted(ensemble.after(state, dt)))


def _on_host(
    potential: HostPotential, ensemble: Ensemble, state: State, dt: float, stride: int, count: int
) -> tuple[State, Frames]:
    frames = []
    for _ in range(count):
        properties: Properties = {}
        for left in reversed(range(stride)):
            state, properties = with_forces_of_host(potential, _before(ensemble, state, dt), recorded=left == 0)
            state = _after(ensemble, state, dt)
        frames.append(frame_of(state, properties))
    return state, jax.tree.map(lambda *each: jnp.stack(each), *frames)
