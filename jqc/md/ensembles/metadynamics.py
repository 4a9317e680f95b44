"""Well-tempered metadynamics: hills where the variables have been, lower where there are many.

    V(s) = Σ_t h_t exp(−Σ_i (s_i − s_i(t))²/2w_i²),   h_t = h exp(−V(s(t))/(kT (γ − 1))),   F(s) = −γ/(γ − 1) V(s)

up to a constant (Barducci, Bussi & Parrinello, Phys. Rev. Lett. 100, 020603, doi:10.1103/PhysRevLett.100.020603).
"""

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp

from jqc.errors import SimulationError
from jqc.md.ensembles.base import Ensemble
from jqc.md.motion import Time
from jqc.md.space import Cell
from jqc.md.state import State
from jqc.md.variables import Variable, difference
from jqc.typing import Array, Float, Int


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Hills:
    """Centres and heights of hills; the first `count` are there. `inner` is what the ensemble beneath remembers."""

    centres: Float[Array, "hill variable"]
    heights: Float[Array, "hill"]
    count: Int[Array, ""]
    inner: Any


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Metadynamics:
    """An ensemble with a bias that grows.

    Parameters
    ----------
    ensemble
        What the atoms do otherwise, at the temperature kT.
    variables, widths
        What is biased, and how wide hills are in each.
    height, bias_factor, temperature
        h, γ and kT.
    pace
        Steps from one hill to the next.
    room
        Hills that there is room for: steps over pace.
    """

    ensemble: Ensemble
    variables: tuple[Variable, ...] = field(metadata={"static": True})
    widths: Float[Array, "variable"] | tuple[float, ...]
    height: Float[Array, ""] | float
    bias_factor: Float[Array, ""] | float
    temperature: Float[Array, ""] | float
    pace: int = field(metadata={"static": True})
    room: int = field(metadata={"static": True})

    def start(self, state: State) -> State:
        """No hills."""
        state = self.ensemble.start(state)
        none = jnp.zeros((self.room, len(self.variables))), jnp.zeros(self.room), jnp.zeros((), int)
        return replace(state, extra=Hills(*none, state.extra))

    def before(self, state: State, dt: Time) -> State:
        """What the ensemble does."""
        hills = state.extra
        state = self.ensemble.before(replace(state, extra=hills.inner), dt)
        return replace(state, extra=replace(hills, inner=state.extra))

    def after(self, state: State, dt: Time) -> State:
        """A hill where one is due, the bias added to energy and forces, and what the ensemble does."""
        hills, given = self._with_hill(state)
        energy, slope = jax.value_and_grad(self._at)(state.positions, state.cell, hills)
        state = replace(state, energy=state.energy + energy, forces=state.forces - slope, given=state.given + given)
        state = self.ensemble.after(replace(state, extra=hills.inner), dt)
        return replace(state, extra=replace(hills, inner=state.extra))

    def values(self, positions: Float[Array, "atom 3"], cell: Cell = None) -> Float[Array, "variable"]:
        """The variables."""
        return jnp.stack([variable(positions, cell) for variable in self.variables])

    def bias(self, values: Float[Array, "variable"], hills: Hills) -> Float[Array, ""]:
        """V(s)."""
        apart = values - hills.centres
        ways = [difference(variable, apart[:, i]) for i, variable in enumerate(self.variables)]
        return hills.heights @ jnp.exp(
            -0.5 * jnp.sum((jnp.stack(ways, axis=1) / jnp.asarray(self.widths)) ** 2, axis=1)
        )

    def free_energy(self, values: Float[Array, "point variable"], hills: Hills) -> Float[Array, "point"]:
        """F(s), the lowest of these points zero.

        Raises:
            SimulationError: more hills were due than there was room for.
        """
        if int(hills.count) > self.room:
            raise SimulationError(f"{int(hills.count)} hills were due and {self.room} had room; give room for more.")
        found = (
            -self.bias_factor / (self.bias_factor - 1) * jax.vmap(lambda s: self.bias(s, hills))(jnp.asarray(values))
        )
        return found - found.min()

    def _at(self, positions: Float[Array, "atom 3"], cell: Cell, hills: Hills) -> Float[Array, ""]:
        return self.bias(self.values(positions, cell), hills)

    def _with_hill(self, state: State) -> tuple[Hills, Float[Array, ""]]:
        """Hills with one more where it is due, and the energy that it gives."""
        hills, values = state.extra, self.values(state.positions, state.cell)
        due = (state.step + 1) % self.pace == 0
        tempered = jnp.exp(-self.bias(values, hills) / (self.temperature * (self.bias_factor - 1)))
        height = jnp.where(due & (hills.count < self.room), self.height * tempered, 0.0)
        at = jnp.where(due, hills.count, self.room)
        new = replace(
            hills,
            centres=hills.centres.at[at].set(values, mode="drop"),
            heights=hills.heights.at[at].set(height, mode="drop"),
            count=hills.count + due,
        )
        return new, height
