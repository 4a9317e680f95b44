"""Constant energy: velocity Verlet (Swope et al., J. Chem. Phys. 76, 637 (1982), doi:10.1063/1.442716)."""

from dataclasses import dataclass, replace

import jax

from jqc.md.momenta import freedom
from jqc.md.motion import Time, drift, kick
from jqc.md.state import State


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class NVE:
    """Newton's equations; the step with −Δt undoes the step with Δt."""

    def start(self, state: State) -> State:
        """Nothing to remember."""
        return replace(state, freedom=freedom(state.positions, state.masses, state.cell, state.rigid), extra=None)

    def before(self, state: State, dt: Time) -> State:
        """A half kick and a drift."""
        return drift(kick(state, 0.5 * dt), dt)

    def after(self, state: State, dt: Time) -> State:
        """The other half."""
        return kick(state, 0.5 * dt)
