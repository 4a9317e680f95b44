"""Steps with one list of neighbours: pieces of a trajectory that is to be differentiated.

Backpropagation through a search for neighbours has nothing to find, and would keep the list of every step. So the list
is made where a segment begins; `late` tells afterwards whether an atom has outrun it.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from jqc.md.ensembles.base import Ensemble
from jqc.md.motion import Time
from jqc.md.neighbours import listed_anew, outrun, with_more_room
from jqc.md.potential import Potential
from jqc.md.state import State
from jqc.md.step import step

Observe = Callable[[State], Any]
"""What is averaged, a tree of real arrays, of a state."""


def relisted(state: State) -> State:
    """The state with neighbours of its positions."""
    if state.neighbours is None:
        return state
    return replace(state, neighbours=listed_anew(state.neighbours, state.positions, state.cell))


def checked(state: State) -> State:
    """The state, its neighbours called late if an atom has moved too far since they were listed."""
    if state.neighbours is None:
        return state
    late = state.neighbours.late | outrun(state.neighbours, state.positions, state.cell)
    return replace(state, neighbours=replace(state.neighbours, late=late))


def is_crowded(state: State) -> bool:
    """Whether a list of neighbours has been too short."""
    return state.neighbours is not None and bool(jnp.any(state.neighbours.crowded))


def with_longer_list(state: State) -> State:
    """A state from which a trajectory became crowded, with room for more neighbours."""
    if state.neighbours is None:
        return state
    return replace(state, neighbours=with_more_room(state.neighbours, state.positions, state.cell))


def steps(potential: Potential, ensemble: Ensemble, state: State, dt: Time, number: int) -> State:
    """So many steps; each is computed anew in derivatives, and only its state is kept for that."""
    one = jax.checkpoint(lambda state, _: (step(potential, ensemble, state, dt, relist=False), None))
    return checked(jax.lax.scan(one, relisted(state), length=number)[0])


def no_sums(observe: Observe, state: State) -> Any:
    """Zeros to add observations to."""
    return jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), jax.eval_shape(observe, state))
