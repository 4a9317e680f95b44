"""Pieces of a step: kicks by forces, drifts along momenta; bonds that are rigid stay so in either."""

from dataclasses import replace

from jqc.md.rigid import with_rigid_momenta, with_rigid_positions
from jqc.md.state import State
from jqc.typing import Array, Float

Time = Float[Array, ""] | float


def kick(state: State, time: Time) -> State:
    """Momenta after a time of these forces, p + F t."""
    return with_momenta(state, state.momenta + time * state.forces)


def drift(state: State, time: Time) -> State:
    """Positions after a time of these momenta, r + p t/m."""
    moved = state.positions + time * state.momenta / state.masses[:, None]
    if state.rigid is None:
        return replace(state, positions=moved)
    held = with_rigid_positions(state.rigid, moved, state.positions, state.masses, state.cell)
    momenta = state.momenta + state.masses[:, None] * (held - moved) / time
    return with_momenta(replace(state, positions=held), momenta)


def with_momenta(state: State, momenta: Float[Array, "atom 3"]) -> State:
    """The state with other momenta, less what would change the length of a rigid bond."""
    if state.rigid is not None:
        momenta = with_rigid_momenta(state.rigid, momenta, state.positions, state.masses, state.cell)
    return replace(state, momenta=momenta)
