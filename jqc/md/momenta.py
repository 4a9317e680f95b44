"""Momenta: drawn from the Maxwell–Boltzmann distribution, freed of translation and rotation, and their freedom."""

import jax
import jax.numpy as jnp

from jqc.md.rigid import Rigid, with_rigid_momenta
from jqc.md.space import Cell
from jqc.typing import Array, Float

LINEAR = 1e-6
"""Moments of inertia below this, relative to the largest, belong to no rotation."""


def thermal_momenta(
    key: Array,
    positions: Float[Array, "atom 3"],
    masses: Float[Array, "atom"],
    temperature: float,
    cell: Cell = None,
    rigid: Rigid | None = None,
) -> Float[Array, "atom 3"]:
    """Momenta of temperature kT, at rest as a whole, that change no rigid bond.

    They are scaled to have exactly the kinetic energy ½ f kT of their `freedom` f.
    """
    noise = jax.random.normal(key, positions.shape, positions.dtype)
    momenta = at_rest(jnp.sqrt(masses)[:, None] * noise, positions, masses, cell)
    if rigid is not None:
        momenta = with_rigid_momenta(rigid, momenta, positions, masses, cell)
    kinetic = 0.5 * jnp.sum(momenta**2 / masses[:, None])
    target = 0.5 * freedom(positions, masses, cell, rigid) * temperature
    return momenta * jnp.sqrt(jnp.where(kinetic > 0, target / jnp.where(kinetic > 0, kinetic, 1.0), 0.0))


def at_rest(
    momenta: Float[Array, "atom 3"], positions: Float[Array, "atom 3"], masses: Float[Array, "atom"], cell: Cell = None
) -> Float[Array, "atom 3"]:
    """Momenta without translation and, in free space, without rotation."""
    momenta = momenta - masses[:, None] * (momenta.sum(0) / masses.sum())
    if cell is not None:
        return momenta
    apart = positions - masses @ positions / masses.sum()
    turning, _ = _inverse_inertia(apart, masses)
    velocity = turning @ jnp.cross(apart, momenta).sum(0)
    return momenta - masses[:, None] * jnp.cross(velocity, apart)


def freedom(
    positions: Float[Array, "atom 3"], masses: Float[Array, "atom"], cell: Cell = None, rigid: Rigid | None = None
) -> Float[Array, ""]:
    """Velocities that are free where translation, in free space rotation, and rigid bonds are kept."""
    free = jnp.asarray(3.0 * masses.size - 3.0 - (0 if rigid is None else rigid.count))
    if cell is not None:
        return free
    return free - _inverse_inertia(positions - masses @ positions / masses.sum(), masses)[1]


def _inverse_inertia(apart: Float[Array, "atom 3"], masses: Float[Array, "atom"]) -> tuple[Array, Array]:
    """Inverse of the tensor of inertia among the axes that have one, and their number."""
    inertia = jnp.sum(masses * jnp.sum(apart**2, -1)) * jnp.eye(3) - jnp.einsum("n,ni,nj->ij", masses, apart, apart)
    moments, axes = jnp.linalg.eigh(inertia)
    turns = moments > LINEAR * moments[-1]
    inverse = axes * jnp.where(turns, 1 / jnp.where(turns, moments, 1.0), 0.0) @ axes.T
    return inverse, turns.sum().astype(apart.dtype)
