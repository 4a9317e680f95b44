"""The first state of a simulation."""

from collections.abc import Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from jqc.errors import InputError
from jqc.md.ensembles.base import Ensemble
from jqc.md.momenta import thermal_momenta
from jqc.md.motion import with_momenta
from jqc.md.neighbours import allocate
from jqc.md.potential import HostPotential, Potential, with_forces, with_forces_of_host
from jqc.md.rigid import Rigid, rigid_bonds
from jqc.md.state import State
from jqc.typing import Array, Float, Int

SKIN = 0.12
"""Of the cutoff: what a list reaches beyond it."""


def begin(
    potential: Potential | HostPotential,
    ensemble: Ensemble,
    positions: Float[np.ndarray, "atom 3"] | Array,
    masses: Float[np.ndarray, "atom"] | Array,
    *,
    momenta: Float[np.ndarray, "atom 3"] | Array | None = None,
    temperature: float | None = None,
    cell: Float[np.ndarray, "*edges 3"] | Array | None = None,
    rigid: Int[np.ndarray, "bond 2"] | Sequence[tuple[int, int]] = (),
    key: Array | None = None,
    skin: float | None = None,
) -> State:
    """A state with forces there, ready to be advanced.

    Parameters
    ----------
    potential, ensemble
        What moves the atoms, and how.
    positions, masses
        In atomic units, or any others that go together.
    momenta
        By default drawn at `temperature` with `key`, or zero where there is no temperature.
    temperature
        kT of the momenta that are drawn.
    cell
        Edges of a box, (3,) or (3, 3); by default free space.
    rigid
        Pairs of atoms that keep the distances that they have.
    key
        Of momenta and thermostats; by default that of seed 0.
    skin
        What lists of neighbours reach beyond the cutoff; by default 0.12 of it.

    Raises
    ------
    InputError
        Positions, masses, momenta, rigid bonds or a cell that do not go together or are not finite, or a box narrower
        than twice the cutoff and the skin.
    """
    positions, masses = jnp.asarray(positions, float), jnp.asarray(masses, float)
    cell = None if cell is None else jnp.asarray(cell, float)
    _check(positions, masses, momenta, temperature, cell)
    kept, own = jax.random.split(jax.random.key(0) if key is None else key)
    bonds = rigid_bonds(np.asarray(rigid), positions, cell) if len(rigid) else None
    if momenta is None and temperature is not None:
        momenta = thermal_momenta(own, positions, masses, temperature, cell, bonds)
    elif momenta is None:
        momenta = jnp.zeros_like(positions)
    state = with_momenta(_still(positions, masses, cell, bonds, kept), jnp.asarray(momenta, float))
    if isinstance(potential, HostPotential):
        return ensemble.start(with_forces_of_host(potential, state, recorded=False)[0])
    if (cutoff := potential.cutoff) is not None:
        listed = allocate(positions, cell, cutoff, SKIN * cutoff if skin is None else skin)
        state = replace(state, neighbours=listed)
    return ensemble.start(with_forces(potential, state))


def _still(positions: Array, masses: Array, cell: Array | None, rigid: Rigid | None, key: Array) -> State:
    """A state without momenta, forces and neighbours."""
    zero, none = jnp.zeros((), positions.dtype), jnp.zeros_like(positions)
    return State(
        positions=positions,
        momenta=none,
        masses=masses,
        cell=cell,
        energy=zero,
        forces=none,
        virial=None,
        neighbours=None,
        rigid=rigid,
        freedom=zero,
        given=zero,
        extra=None,
        memory=None,
        key=key,
        step=jnp.zeros((), int),
    )


def _check(positions: Array, masses: Array, momenta, temperature: float | None, cell: Array | None) -> None:
    if positions.ndim != 2 or positions.shape[1] != 3 or masses.shape != positions.shape[:1] or not masses.size:
        raise InputError(
            f"positions of shape {positions.shape} and masses of shape {masses.shape} do not go together; give "
            "(atoms, 3) and (atoms,)."
        )
    if momenta is not None and np.shape(momenta) != positions.shape:
        raise InputError(f"momenta of shape {np.shape(momenta)} do not go with positions of shape {positions.shape}.")
    if not (np.isfinite(positions).all() and np.isfinite(masses).all() and (np.asarray(masses) > 0).all()):
        raise InputError("positions and masses must be finite, masses above zero; check the geometry.")
    if momenta is not None and not np.isfinite(momenta).all():
        raise InputError("momenta must be finite; leave them out to have them drawn.")
    if temperature is not None and not (np.isfinite(temperature) and temperature >= 0):
        raise InputError(f"a temperature of {temperature} cannot be had; give one of zero or more.")
    if cell is not None and (cell.shape not in ((3,), (3, 3)) or not np.isfinite(cell).all()):
        raise InputError(f"a cell of shape {cell.shape} is none; give three finite edges, or a matrix of them.")
