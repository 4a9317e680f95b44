"""E_xc and its potential in one pass over the blocks: what to do where orbitals on the grid are not kept.

A local functional's energy is a sum over points. So each block's orbitals are evaluated once, for its density, its
energy and its share of the potential, where two passes, with the functional between them, do so twice. With orbitals
that are kept two passes are faster.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from jqc.system import System
from jqc.system.blocks import BlockGroup, block_orbitals
from jqc.typing import Array, Float
from jqc.xc.algebra import on_points, products, with_density, within
from jqc.xc.base import Functional, Quadrature
from jqc.xc.quadrature import Features, pays, read_by, spin_resolved


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class OnePass:
    """E_xc in hartree, ∂E_xc/∂D, and the density's features on all points."""

    energy: Float[Array, ""]
    potential: Float[Array, "spin ao ao"]
    u: Features


def in_one_pass(functional: Functional, system: System) -> bool:
    """Whether one pass is possible, on one device with a local functional, and of use: no orbitals are kept."""
    return functional.local and all(group.orbitals is None and group.mesh is None for group in system.groups)


def energy_and_potential(
    functional: Functional,
    system: System,
    dm: Float[Array, "spin ao ao"],
    occupied: Float[Array, "spin ao occ"] | None = None,
) -> OnePass:
    """E_xc, its potential and the features of a density; `occupied` as in `jqc.xc.quadrature.features`."""
    ingredients, symmetric = read_by(functional), 0.5 * (dm + jnp.swapaxes(dm, -1, -2))

    @partial(jax.checkpoint, prevent_cse=False)  # a scan separates the passes already
    def add(sums: tuple[Array, Array], block: BlockGroup) -> tuple[tuple[Array, Array], Features]:
        index, orbitals = block.index, block_orbitals(system.shells, system.coords, block, ingredients != "rho")
        precise = lambda spins: jnp.stack(spins).astype(block.weights.dtype)  # noqa: E731
        features_of = lambda rows: products(*with_density(rows, orbitals, ingredients), ingredients)  # noqa: E731
        of_rows = lambda rows: precise([features_of(d) for d in rows])  # noqa: E731
        rows = jnp.stack([within(d, index) for d in symmetric])
        if occupied is not None and pays(occupied, block.index, ingredients):
            u = precise([products(psi, psi, ingredients) for psi in on_points(occupied, index, orbitals)])
        else:
            u = of_rows(rows)
        grid = Quadrature(block.coords, block.weights, system.coords, system.numbers)
        energy, slope = jax.value_and_grad(lambda u: functional.energy(spin_resolved(u), grid))(u)
        (potential,) = jax.linear_transpose(of_rows, rows)(slope)
        return (sums[0] + energy, sums[1].at[:, index[:, None], index].add(potential, mode="drop")), u

    sums, found = (jnp.zeros((), dm.dtype), jnp.zeros_like(dm)), []
    for group in system.groups:
        sums, u = jax.lax.scan(add, sums, group)
        found.append(jnp.moveaxis(u, 0, 2).reshape(*u.shape[1:3], -1))
    energy, potential = sums
    return OnePass(energy, 0.5 * (potential + jnp.swapaxes(potential, -1, -2)), jnp.concatenate(found, axis=-1))
