"""One step, and what is recorded of it."""

from dataclasses import dataclass, replace

import jax

from jqc.md.ensembles.base import Ensemble
from jqc.md.motion import Time
from jqc.md.potential import Potential, Properties, with_forces
from jqc.md.space import Cell
from jqc.md.state import State
from jqc.typing import Array, Float, Int


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Frames:
    """What is recorded; with leading axes for more than one moment."""

    step: Int[Array, "*frame"]
    positions: Float[Array, "*frame atom 3"]
    momenta: Float[Array, "*frame atom 3"]
    cell: Cell
    energy: Float[Array, "*frame"]
    kinetic: Float[Array, "*frame"]
    conserved: Float[Array, "*frame"]
    temperature: Float[Array, "*frame"]
    pressure: Float[Array, "*frame"] | None
    properties: Properties


def step(potential: Potential, ensemble: Ensemble, state: State, dt: Time, relist: bool = True) -> State:
    """A step of a compiled potential; without `relist` the neighbours stay those that the state has."""
    there = with_forces(potential, ensemble.before(state, dt), relist)
    return counted(ensemble.after(there, dt))


def counted(state: State) -> State:
    """The state after its step has ended."""
    return replace(state, step=state.step + 1)


def frame_of(state: State, properties: Properties) -> Frames:
    """What is recorded of a state."""
    return Frames(
        state.step,
        state.positions,
        state.momenta,
        state.cell,
        state.energy,
        state.kinetic,
        state.conserved,
        state.temperature,
        state.pressure,
        properties,
    )
