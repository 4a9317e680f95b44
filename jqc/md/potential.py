"""What moves atoms: the one interface of every energy, compiled or on the host, and its forces.

A potential is a registered dataclass whose arrays are its parameters, so that programs take them as arguments and
trajectories can be differentiated by them. What cannot be compiled (an SCF, an ASE calculator) is a host potential:
the simulation then comes back to Python in every step.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from jqc.md.neighbours import Neighbours, updated
from jqc.md.space import Cell
from jqc.md.state import State
from jqc.typing import Array, Float

Properties = dict[str, Array]
"""What is recorded besides the energy, by name: `dipole` (3,), `polarizability` (3, 3), charges and so on."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Evaluated:
    """Energy, forces −∂U/∂r, the virial −dU/d ln(length) of a cell, and what a host potential tells besides."""

    energy: Float[Array, ""]
    forces: Float[Array, "atom 3"]
    virial: Float[Array, ""] | None = None
    properties: Properties = field(default_factory=dict)


class Potential(Protocol):
    """An energy that can be compiled. `cutoff` is None where it needs no neighbours.

    Optional methods of the same arguments: `evaluate`, an `Evaluated` where the forces are known better than by
    automatic differentiation, and `properties`.
    """

    @property
    def cutoff(self) -> float | None:
        """Distance beyond which atoms do not meet."""
        ...

    def energy(self, positions: Float[Array, "atom 3"], cell: Cell, neighbours: Neighbours | None) -> Float[Array, ""]:
        """Energy of positions, which need not be inside of the cell."""
        ...


@runtime_checkable
class HostPotential(Protocol):
    """An energy that is computed by the host, from the positions and what it remembers of the step before."""

    def evaluate_on_host(
        self,
        positions: Float[np.ndarray, "atom 3"],
        cell: Float[np.ndarray, "*edges 3"] | None,
        memory: Any,
        recorded: bool,
    ) -> tuple[Evaluated, Any]:
        """Energy and forces, with properties where they are recorded, and arrays to remember; None at first."""
        ...


def evaluate(
    potential: Potential, positions: Float[Array, "atom 3"], cell: Cell, neighbours: Neighbours | None
) -> Evaluated:
    """Energy, forces and virial of a compiled potential."""
    own = getattr(potential, "evaluate", None)
    if own is not None:
        return own(positions, cell, neighbours)
    if cell is None:
        energy, slope = jax.value_and_grad(potential.energy)(positions, None, neighbours)
        return Evaluated(energy, -slope)

    def stretched(positions, scale):
        return potential.energy(positions * scale, cell * scale, neighbours)

    energy, (slope, stretch) = jax.value_and_grad(stretched, (0, 1))(positions, jnp.ones((), positions.dtype))
    return Evaluated(energy, -slope, -stretch)


def with_forces(potential: Potential, state: State, relist: bool = True) -> State:
    """The state with energy and forces of its positions, its neighbours brought up to date with `relist`."""
    neighbours = state.neighbours
    if neighbours is not None and relist:
        neighbours = updated(neighbours, state.positions, state.cell)
    return having(replace(state, neighbours=neighbours), evaluate(potential, state.positions, state.cell, neighbours))


def with_forces_of_host(potential: HostPotential, state: State, recorded: bool) -> tuple[State, Properties]:
    """The same of a host potential, and its properties."""
    cell = None if state.cell is None else np.asarray(state.cell)
    found, memory = potential.evaluate_on_host(np.asarray(state.positions), cell, state.memory, recorded)
    arrays = jax.tree.map(jnp.asarray, found)
    return replace(having(state, arrays), memory=memory), arrays.properties


def having(state: State, found: Evaluated) -> State:
    """The state with what was found of its positions."""
    return replace(state, energy=found.energy, forces=found.forces, virial=found.virial)
