"""Walkers: copies of a state with a leading axis, which one program moves side by side."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from jqc.errors import InputError
from jqc.md.momenta import thermal_momenta
from jqc.md.neighbours import listed_anew
from jqc.md.segment import with_longer_list
from jqc.md.state import State


def walkers(state: State, number: int, temperature: float | None = None) -> State:
    """So many copies of a state, each with a key of its own, and with momenta of its own where a temperature is given.

    `simulate` takes them like one state, and hands out frames whose second axis is the walker: `of_walker(frames, 0,
    axis=1)` are those of the first.

    Raises:
        InputError: no walkers, or a state of walkers already.

    >>> import numpy as np
    >>> from jqc.md import NVE, LennardJones, begin
    >>> argon = LennardJones(1.0, 1.0)
    >>> pair = begin(argon, NVE(), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.2]]), np.ones(2))
    >>> walkers(pair, 8, temperature=0.1).positions.shape
    (8, 2, 3)
    """
    if number < 1 or walkers_of(state) is not None:
        raise InputError(f"{number} walkers cannot be had of this state; give one or more, and a state of one walker.")
    kept, drawn = (jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(number)) for key in _two(state.key))
    copies = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (number, *leaf.shape)), replace(state, key=None))
    if temperature is not None:
        fixed = (state.positions, state.masses, state.cell, state.rigid)
        draw = lambda key: thermal_momenta(key, *fixed[:2], temperature, *fixed[2:])  # noqa: E731
        copies = replace(copies, momenta=jax.vmap(draw)(drawn))
    return replace(copies, key=kept)


def _two(key: Any) -> tuple[Any, Any]:
    one, other = jax.random.split(key)
    return one, other


def walkers_of(state: State) -> int | None:
    """How many walkers a state has; none where it is a single one without the axis."""
    return len(state.positions) if state.positions.ndim == 3 else None


def of_walker(tree: Any, number: int, axis: int = 0) -> Any:
    """What belongs to one walker."""
    return jax.tree.map(lambda leaf: jax.lax.index_in_dim(jnp.asarray(leaf), number, axis, keepdims=False), tree)


def with_longer_lists(state: State) -> State:
    """A state, or walkers, with room for more neighbours: as much for each walker."""
    if (number := walkers_of(state)) is None:
        return with_longer_list(state)
    longer = [with_longer_list(of_walker(state, each)).neighbours for each in range(number)]
    found = [neighbours for neighbours in longer if neighbours is not None]
    length, most = max(each.index.shape[1] for each in found), max(each.most for each in found)

    def listed(positions, cell):
        index = jnp.zeros((len(positions), length), jnp.int32)
        return listed_anew(replace(found[0], index=index, most=most), positions, cell)

    return replace(state, neighbours=jax.vmap(listed)(state.positions, state.cell))
