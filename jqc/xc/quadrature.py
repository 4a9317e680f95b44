"""The quadrature as a linear map: density features on the grid from a density matrix, and back by its transpose.

    ρ = Σ_μν D_μν φ_μ φ_ν,   ∇ρ = 2 Σ_μν D_μν φ_μ ∇φ_ν,   τ = ½ Σ_μν D_μν ∇φ_μ·∇φ_ν

E_xc is any differentiable function of these features, so that its potential is the map's transpose applied to
∂E_xc/∂(features). Blocks are computed one after another; only the features of all points are held. Where the
occupied orbitals are known the value comes from them, for the derivative is the map itself either way.
"""

from functools import partial

import jax
import jax.numpy as jnp

from jqc.numerics import with_shortcut
from jqc.system import System
from jqc.system.blocks import BlockGroup, block_orbitals
from jqc.typing import Array, Float
from jqc.xc.base import Density, Functional, Ingredients, Quadrature

Features = Float[Array, "spin feature grid"]
"""Rows ρ · ∂_xρ ∂_yρ ∂_zρ · τ, as many as a functional reads."""


def _features_of(orbitals: Float[Array, "component row grid"], times_dm, ingredients: Ingredients) -> Array:
    """Features of one block and spin; `times_dm` applies the block's part of the density matrix to φ or ∂φ."""
    if ingredients == "rho":
        return jnp.sum(orbitals[0] * times_dm(orbitals[0]), axis=0)[None]
    contracted = jnp.sum(orbitals * times_dm(orbitals[0]), axis=1)
    features = contracted * jnp.array([1.0, 2.0, 2.0, 2.0], contracted.dtype)[:, None]
    if ingredients == "sigma":
        return features
    along_x, along_y, along_z = (slope * times_dm(slope) for slope in orbitals[1:])
    tau = 0.5 * jnp.sum(along_x + along_y + along_z, axis=0)
    return jnp.concatenate([features, tau[None]])


def _over_blocks(times_dm_of, system: System, group: BlockGroup, ingredients: Ingredients) -> Features:
    """Features of a group: scan over its blocks, orbitals recomputed rather than stored in derivatives."""

    @partial(jax.checkpoint, prevent_cse=False)  # a scan separates the passes already
    def block_features(block: BlockGroup):
        orbitals = block_orbitals(system.shells, system.coords, block, ingredients != "rho")
        spins = [_features_of(orbitals, times, ingredients) for times in times_dm_of(block.index)]
        return jnp.stack(spins)

    features = jax.lax.map(block_features, group)
    return jnp.moveaxis(features, 0, 2).reshape(*features.shape[1:3], -1)


def _rows(matrix: Array, index: Array) -> Array:
    """Rows of a block's orbitals, zero for padding."""
    return jnp.take(matrix, index, axis=0, mode="fill", fill_value=0)


def _from_dm(dm: Float[Array, "spin ao ao"], system: System, group: BlockGroup, ingredients: Ingredients) -> Features:
    def times_dm_of(index):
        blocks = [_rows(_rows(d, index).T, index) for d in dm]
        return [lambda phi, d=d: d @ phi for d in blocks]

    return _over_blocks(times_dm_of, system, group, ingredients)


def _from_occupied(
    occupied: Float[Array, "spin ao occ"], system: System, group: BlockGroup, ingredients: Ingredients
) -> Features:
    def times_dm_of(index):
        factors = [_rows(c, index) for c in occupied]
        # A product with a transposed left factor runs at half speed on CPUs: the small transpose is made explicit.
        transposed = [jax.lax.optimization_barrier(c.T) for c in factors]
        return [lambda phi, c=c, c_t=c_t: c @ (c_t @ phi) for c, c_t in zip(factors, transposed, strict=True)]

    return _over_blocks(times_dm_of, system, group, ingredients)


def features(
    system: System,
    dm: Float[Array, "spin ao ao"],
    ingredients: Ingredients,
    occupied: Float[Array, "spin ao occ"] | None = None,
) -> Features:
    """Density features on all points, linear in the (symmetric) density matrix.

    `occupied` is a factor D = A Aᵀ where one is known; it makes the value cheaper and changes nothing else.
    """

    def whole(dm, system):
        return jnp.concatenate([_from_dm(dm, system, group, ingredients) for group in system.groups], axis=-1)

    def cheap(occupied, dm, system):
        return jnp.concatenate(
            [_from_occupied(occupied, system, group, ingredients) for group in system.groups], axis=-1
        )

    symmetric = 0.5 * (dm + jnp.swapaxes(dm, -1, -2))
    return with_shortcut(whole, cheap)(occupied, symmetric, system)


def spin_resolved(u: Features) -> Density:
    """Density features of both spins; a restricted density (one spin row) is halved."""
    # Both spins of a restricted density are the very same arrays, so that the compiler computes them once.
    spins = [0.5 * u[0]] * 2 if u.shape[0] == 1 else [u[0], u[1]]
    both = lambda row: jnp.stack([spin[row] for spin in spins])  # noqa: E731
    rho = both(0)
    if u.shape[1] == 1:
        return Density(rho, jnp.zeros((3, *rho.shape[1:]), rho.dtype), jnp.zeros_like(rho))
    slopes = [spin[1:4] for spin in spins]
    pairs = [(slopes[0], slopes[0]), (slopes[0], slopes[1]), (slopes[1], slopes[1])]
    sigma = jnp.stack([jnp.sum(a * b, axis=0) for a, b in pairs])
    return Density(rho, sigma, both(4) if u.shape[1] > 4 else jnp.zeros_like(rho))


def quadrature(system: System) -> Quadrature:
    """Points and weights of all groups, in the order of `features`."""
    return Quadrature(
        jnp.concatenate([group.coords.reshape(-1, 3) for group in system.groups]),
        jnp.concatenate([group.weights.reshape(-1) for group in system.groups]),
        system.coords,
    )


def xc_energy(
    functional: Functional,
    system: System,
    dm: Float[Array, "spin ao ao"],
    occupied: Float[Array, "spin ao occ"] | None = None,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Exchange-correlation energy (without exact exchange) and the number of electrons the grid counts."""
    ingredients = functional.ingredients
    grid = quadrature(system)
    if ingredients == "none":
        ingredients = "rho"
    u = features(system, dm, ingredients, occupied)
    return functional.energy(spin_resolved(u), grid), jnp.sum(u[:, 0] * grid.weights)
