"""The quadrature as a linear map: density features on the grid from a density matrix, and back by its transpose.

    ρ = Σ_μν D_μν φ_μ φ_ν,   ∇ρ = 2 Σ_μν D_μν φ_μ ∇φ_ν,   τ = ½ Σ_μν D_μν ∇φ_μ·∇φ_ν

E_xc is any differentiable function of these features, so that its potential is the map's transpose applied to
∂E_xc/∂(features). Blocks are computed one after another; only the features of all points are held. Where the
occupied orbitals are known the value comes from them, for the derivative is the map itself either way.
"""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from jqc.numerics import with_shortcut
from jqc.system import System
from jqc.system.blocks import BlockGroup, block_orbitals, over_blocks
from jqc.system.sampled import Sampled
from jqc.typing import Array, Float, Int
from jqc.xc.algebra import on_points, products, take_rows, times, with_density, within
from jqc.xc.base import Density, Functional, Ingredients, Quadrature, cut

Orbitals = System | Sampled
"""Either knows the orbitals on the grid."""

Features = Float[Array, "spin feature grid"]
"""Rows ρ · ∂_xρ ∂_yρ ∂_zρ · τ, as many as a functional reads."""

PIECE = 1 << 16
"""Points whose functional is evaluated at a time: enough for every core, 35 MB of temporaries for PBE."""


def _over_blocks(pairs_of, system: Orbitals, group: BlockGroup, ingredients: Ingredients, *frames: Array) -> Features:
    """Features of a group: scan over its blocks, orbitals recomputed rather than stored in derivatives.

    `pairs_of(index, orbitals, *frames)` lists the pairs of each spin, whose features add up.
    """

    @partial(jax.checkpoint, prevent_cse=False)  # a scan separates the passes already
    def block_features(block: BlockGroup, shells, coords, *frames):
        orbitals = block_orbitals(shells, coords, block, ingredients != "rho")
        spins = pairs_of(block.index, orbitals, *frames)
        found = jnp.stack([sum(products(left, right, ingredients) for left, right in pairs) for pairs in spins])
        return found.astype(group.weights.dtype)

    features = over_blocks(block_features, group, system.shells, system.coords, *frames)
    return jnp.moveaxis(features, 0, 2).reshape(*features.shape[1:3], -1)


def _from_dm(dm: Float[Array, "spin ao ao"], system: Orbitals, group: BlockGroup, ingredients: Ingredients) -> Features:
    def pairs_of(index, orbitals, dm):
        return [[with_density(within(d, index), orbitals, ingredients)] for d in dm]

    return _over_blocks(pairs_of, system, group, ingredients, dm)


def _from_occupied(
    occupied: Float[Array, "spin ao occ"], system: Orbitals, group: BlockGroup, ingredients: Ingredients
) -> Features:
    def pairs_of(index, orbitals, occupied):
        return [[(psi, psi)] for psi in on_points(occupied, index, orbitals)]

    return _over_blocks(pairs_of, system, group, ingredients, occupied)


def pair_features(
    system: Orbitals,
    left: Float[Array, "spin ao occ"],
    right: Float[Array, "spin ao occ"],
    ingredients: Ingredients,
) -> Features:
    """Features of A Bᵀ + B Aᵀ for two factors, linear in each: occ/ao of the work that a density matrix takes.

    The transpose in A takes a potential on the grid to 2 V B.
    """

    def frames_on_points(frames, index, orbitals):
        return on_points(frames, index, orbitals if ingredients == "tau" else orbitals[:, :1])

    def pairs_of(index, orbitals, left, right):
        both = zip(frames_on_points(left, index, orbitals), frames_on_points(right, index, orbitals), strict=True)
        if ingredients == "tau":
            return [[(a, b), (b, a)] for a, b in both]
        # Without τ only values of A Bᵀφ + B Aᵀφ are asked for, half the work of slopes of Aᵀφ and Bᵀφ.
        spread = lambda frame, values: times(take_rows(frame, index), values)  # noqa: E731
        frames = zip(left, right, both, strict=True)
        return [[(orbitals, spread(a, on_b) + spread(b, on_a))] for a, b, (on_a, on_b) in frames]

    found = [_over_blocks(pairs_of, system, group, ingredients, left, right) for group in system.groups]
    return jnp.concatenate(found, axis=-1)


def features(
    system: Orbitals,
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
        found = [
            _from_occupied(occupied, system, group, ingredients)
            if pays(occupied, group.index, ingredients)
            else _from_dm(dm, system, group, ingredients)
            for group in system.groups
        ]
        return jnp.concatenate(found, axis=-1)

    symmetric = 0.5 * (dm + jnp.swapaxes(dm, -1, -2))
    return with_shortcut(whole, cheap)(occupied, symmetric, system)


def pays(occupied: Float[Array, "spin ao occ"], index: Int[Array, "*block row"], ingredients: Ingredients) -> bool:
    """Whether occupied orbitals take fewer operations than a block of the density matrix, which large molecules do not.

    They are needed with every component of φ, D φ without τ only with the first.
    """
    components = {"rho": (1, 1), "sigma": (4, 1), "tau": (4, 4), "none": (1, 1)}[ingredients]
    return occupied.shape[-1] * components[0] < index.shape[-1] * components[1]


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


def both_spins(u: Features, change: Features, sign: Float[Array, ""] | float) -> tuple[Features, Features]:
    """Both spins of a closed shell's one row, and their changes: alike (`sign` 1) or oppositely (−1)."""
    return 0.5 * jnp.concatenate([u, u]), 0.5 * jnp.concatenate([change, sign * change])


def quadrature(system: Orbitals) -> Quadrature:
    """Points and weights of all groups, in the order of `features`."""
    return Quadrature(
        jnp.concatenate([group.coords.reshape(-1, 3) for group in system.groups]),
        jnp.concatenate([group.weights.reshape(-1) for group in system.groups]),
        system.coords,
        system.numbers,
    )


ROWS: dict[Ingredients, int] = {"none": 1, "rho": 1, "sigma": 4, "tau": 5}
"""Rows of the features that go with each kind of functional."""


def no_features(system: Orbitals, n_spins: int, ingredients: Ingredients) -> Features:
    """Features of no electron, spread over devices as those of electrons are."""
    none = jnp.zeros((n_spins, ROWS[ingredients], sum(group.weights.size for group in system.groups)))
    mesh = system.groups[0].mesh
    if not mesh:
        return none
    return jax.lax.with_sharding_constraint(none, NamedSharding(mesh, PartitionSpec(None, None, mesh.axis_names)))


def read_by(functional: Functional) -> Ingredients:
    """Features to compute for a functional; the density itself always, since electrons are counted with it."""
    return "rho" if functional.ingredients == "none" else functional.ingredients


def xc_energy(functional: Functional, system: Orbitals, u: Features) -> Float[Array, ""]:
    """Exchange-correlation energy (without exact exchange) of density features."""
    grid = quadrature(system)
    if functional.local and grid.weights.size > PIECE:
        return _energy_in_pieces(functional, u, grid)
    return functional.energy(spin_resolved(u), grid)


def electron_number(system: Orbitals, u: Features) -> Float[Array, ""]:
    """Electrons that the quadrature counts."""
    return jnp.sum(u[:, 0] * quadrature(system).weights)


def _energy_in_pieces(functional: Functional, u: Features, grid: Quadrature) -> Float[Array, ""]:
    """E_xc of a local functional as a sum over equal pieces of the grid, whose temporaries share their memory."""

    @partial(jax.checkpoint, prevent_cse=False)
    def energy(piece):
        u, coords, weights = piece
        return functional.energy(spin_resolved(u), replace(grid, coords=coords, weights=weights))

    return jnp.sum(jax.lax.map(energy, (cut(u, 2, PIECE), cut(grid.coords, 0, PIECE), cut(grid.weights, 0, PIECE))))
