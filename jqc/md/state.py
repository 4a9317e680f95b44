"""What a simulation is at one moment."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jqc.md.neighbours import Neighbours
from jqc.md.rigid import Rigid
from jqc.md.space import Cell, volume
from jqc.typing import Array, Float, Int


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class State:
    """Positions and momenta, what the potential says of them, and what ensemble and constraints remember.

    Positions are not wrapped into the cell. Any consistent units do; those of the package are atomic ones. `given` is
    the energy that thermostats, barostats and biases have put in so far: `conserved`, energy less that, stays what it
    was. `virial` W = −dU/d ln(length) is there where there is a cell. `freedom` counts the velocities that can take up
    heat, which those along `rigid` bonds do not. `extra` belongs to the ensemble, `memory` to a host potential.
    """

    positions: Float[Array, "atom 3"]
    momenta: Float[Array, "atom 3"]
    masses: Float[Array, "atom"]
    cell: Cell
    energy: Float[Array, ""]
    forces: Float[Array, "atom 3"]
    virial: Float[Array, ""] | None
    neighbours: Neighbours | None
    rigid: Rigid | None
    freedom: Float[Array, ""]
    given: Float[Array, ""]
    extra: Any
    memory: Any
    key: Array
    step: Int[Array, ""]

    @property
    def kinetic(self) -> Float[Array, ""]:
        """Kinetic energy Σ p²/2m."""
        return 0.5 * jnp.sum(self.momenta**2 / self.masses[..., None], axis=(-2, -1))

    @property
    def total(self) -> Float[Array, ""]:
        """Potential and kinetic energy."""
        return self.energy + self.kinetic

    @property
    def conserved(self) -> Float[Array, ""]:
        """Total energy less what was given."""
        return self.total - self.given

    @property
    def temperature(self) -> Float[Array, ""]:
        """Of the velocities, as kT: 2K over the degrees of freedom."""
        return 2 * self.kinetic / self.freedom

    @property
    def pressure(self) -> Float[Array, ""] | None:
        """(2K + W)/3V; none in free space, nor with rigid bonds, whose share is not known."""
        if self.cell is None or self.virial is None or self.rigid is not None:
            return None
        return (2 * self.kinetic + self.virial) / (3 * volume(self.cell))
