"""What a quadrature adds to the energy's gradient when its points move with their atoms.

    Σ_g [∂E_xc/∂r_g · ∂r_g/∂R + ∂E_xc/∂w_g · ∂w_g/∂R]

where each point keeps its place beside its atom, and its weight is the atom's share of it by Becke's partition.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from jqc.errors import InputError
from jqc.system import System
from jqc.system.partition import share, size_adjustment
from jqc.typing import Array, Float
from jqc.xc.base import Functional
from jqc.xc.quadrature import Features, features, read_by, xc_energy

ROUNDING = 1e-12
"""Shares of points that lie beside another atom's nucleus; below this they have no digit."""


def grid_gradient(
    functional: Functional, system: System, dm: Float[Array, "spin ao ao"], u: Features
) -> Float[np.ndarray, "atom 3"]:
    """The part of dE_xc/dR that comes of points and weights, in hartree/bohr.

    Raises:
        InputError: points of unknown origin.
    """
    if any(group.owner is None for group in system.groups):
        raise InputError("points that were handed over belong to no atom and cannot move; choose a grid level.")
    numbers = np.asarray(system.numbers)
    adjustment = jnp.asarray(size_adjustment(numbers[numbers > 0]))
    return np.asarray(_grid_gradient(functional, system, dm, u, adjustment))


@jax.jit
def _grid_gradient(
    functional: Functional,
    system: System,
    dm: Float[Array, "spin ao ao"],
    u: Features,
    adjustment: Float[Array, "atom atom"],
) -> Float[Array, "atom 3"]:
    coords = system.coords[: len(adjustment)]
    points, weights = ([getattr(group, name) for group in system.groups] for name in ("coords", "weights"))

    def at(points, weights) -> System:
        moved = zip(system.groups, points, weights, strict=True)
        return replace(system, groups=tuple(replace(group, coords=p, weights=w) for group, p, w in moved))

    energy = lambda u, points, weights: xc_energy(functional, at(points, weights), u)  # noqa: E731
    by_u, by_points, by_weights = jax.grad(energy, argnums=(0, 1, 2))(u, points, weights)
    pull = jax.vjp(lambda points: features(at(points, weights), dm, read_by(functional)), points)[1]
    by_points = jax.tree.map(jnp.add, by_points, pull(by_u)[0])

    def moved_with_atoms(coords):
        places = [p + (coords - start)[group.owner] for p, group in zip(points, system.groups, strict=True)]
        shares = [_shares(p, group.owner, coords, adjustment) for p, group in zip(places, system.groups, strict=True)]
        return places, shares

    start = jax.lax.stop_gradient(coords)
    (_, shares), back = jax.vjp(moved_with_atoms, coords)
    by_shares = [by * own_weights(w, s) for by, w, s in zip(by_weights, weights, shares, strict=True)]
    return back((by_points, by_shares))[0]


def own_weights(weights: Float[Array, "*grid"], shares: Float[Array, "*grid"]) -> Float[Array, "*grid"]:
    """Weights of the atoms' own quadratures, without the partition; nothing for points whose share is rounding."""
    counts = shares > ROUNDING
    return jnp.where(counts, weights / jnp.where(counts, shares, 1.0), 0.0)


def _shares(points, owner, coords, adjustment):
    """Shares of a group's points, a block at a time."""
    of_block = jax.checkpoint(lambda block: share(block[0], block[1], coords, adjustment))
    return jax.lax.map(of_block, (points, owner))
