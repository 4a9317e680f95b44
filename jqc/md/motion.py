"""Pieces of a step: kicks by forces, drifts along momenta; bonds that are rigid stay so in either."""

from dataclasses import replace

from jqc.md.state import State
from jqc.typing import Array, Float

Time = Float[Array, ""] | float


def kick(state: State, time: Time) -> State:
    """Momenta after a time of these forces, p + F t."""
    return replace(state, momenta=state.momenta + time * state.forces)


def drift(state: State, time: Time) -> State:
    """Positions after a time of these momenta, r + p t/m."""
    return replace(state, positions=state.positions + time * state.momenta / state.masses[:, None])
