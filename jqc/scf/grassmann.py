"""Geometry of densities: the Grassmannian of occupied subspaces, and the energy's first two derivatives on it.

A point is a pair of orthonormal frames, occupied and virtual; a tangent is X (virt × occ), the rotation
C ↦ C exp(κ), κ_vo = X, κ_ov = −Xᵀ. With P = C_o C_oᵀ, D = n P (n = 2 restricted, 1 for each spin), F = ∂E/∂D:

    grad E = 2n F_vo,     Hess E[X] = 2n (F_vv X − X F_oo + C_vᵀ δF C_o),     δD = n (C_v X C_oᵀ + h.c.)

at any density, stationary or not (Edelman, Arias & Smith, SIAM J. Matrix Anal. Appl. 20, 303 (1998),
doi:10.1137/S0895479895290954). Columns of zeros are orbitals that do not exist, so that molecules of one size class,
and spins of different electron numbers, share shapes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jqc.errors import InputError
from jqc.scf.kernel import Reference, fock_response, reference
from jqc.system import System
from jqc.typing import Array, Bool, Float
from jqc.xc.base import Functional

Tangent = Float[Array, "spin virt occ"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Point:
    """Occupied and virtual orbitals, CᵀSC = 1, with padded `ao` rows; one spin row if restricted, else two."""

    occupied: Float[Array, "spin ao occ"]
    virtual: Float[Array, "spin ao virt"]

    @property
    def electrons_per_orbital(self) -> int:
        """Two if restricted, else one."""
        return 2 // self.occupied.shape[0]

    @property
    def dm(self) -> Float[Array, "spin ao ao"]:
        """Density matrix n C_o C_oᵀ."""
        return self.electrons_per_orbital * self.occupied @ jnp.swapaxes(self.occupied, -1, -2)


def absent(frame: Float[Array, "spin ao mo"]) -> Bool[Array, "spin mo"]:
    """Which columns of a frame are orbitals that do not exist."""
    return ~jnp.any(frame != 0, axis=1)


def point(system: System, mo_coeff: Float[Array, "*spin ao mo"], spin_resolved: bool = False) -> Point:
    """The lowest orbitals, as many as there are electrons, and the rest.

    Parameters
    ----------
    system
        Holds the number of electrons.
    mo_coeff
        Orbitals in order, as in `SCFResult.mo_coeff`, with or without padded rows.
    spin_resolved
        Both spins of a closed shell apart, for tangents that break their symmetry (triplets).

    Raises
    ------
    InputError
        Fewer orbitals than electrons, or one set of orbitals for unpaired electrons.

    >>> import jax; jax.config.update("jax_enable_x64", True)
    >>> import jqc
    >>> helium = jqc.build_system(jqc.Molecule.from_arrays(["He"], [[0.0, 0.0, 0.0]]))
    >>> result = jqc.scf(helium, "pbe")
    >>> at = point(helium, result.mo_coeff)
    >>> bool(jnp.linalg.norm(gradient(result.functional, helium, at)) < 1e-3)
    True
    """
    return frames([int(n) for n in system.electrons], system.n_padded, mo_coeff, spin_resolved)


def frames(
    counts: Sequence[int], n_padded: int, mo_coeff: Float[Array, "*spin ao mo"], spin_resolved: bool = False
) -> Point:
    """`point` of electrons counted by spin, with `n_padded` rows; orbitals on the host stay there."""
    # There, because a program would be compiled for every number of orbitals.
    on = np if isinstance(mo_coeff, np.ndarray) else jnp
    n_mo = mo_coeff.shape[-1]
    if max(counts) > n_mo:
        raise InputError(f"{n_mo} orbitals cannot hold {max(counts)} electrons of one spin; pass all orbitals.")
    if mo_coeff.ndim == 2 and counts[0] != counts[1] and not spin_resolved:
        raise InputError(f"{counts[0]} and {counts[1]} electrons need orbitals of both spins; pass (2, ao, mo).")
    spins = [mo_coeff] * (1 + spin_resolved) if mo_coeff.ndim == 2 else list(mo_coeff)
    occ, virt = max(counts), n_mo - min(counts)
    padded = [on.pad(c, ((0, n_padded - c.shape[0]), (0, 0))) for c in spins]
    occupied = [on.pad(c[:, :n], ((0, 0), (0, occ - n))) for c, n in zip(padded, counts, strict=False)]
    virtual = [on.pad(c[:, n:], ((0, 0), (0, virt - n_mo + n))) for c, n in zip(padded, counts, strict=False)]
    return Point(on.stack(occupied), on.stack(virtual))  # pyright: ignore[reportArgumentType]


def spin_tangent(x: Tangent, sign: int = 1) -> Tangent:
    """A restricted tangent for both spins alike (`sign=1`, singlet) or opposite (`sign=-1`, triplet)."""
    return jnp.concatenate([x, sign * x])


# --- geometry ---


def inner(x: Tangent, y: Tangent) -> Float[Array, ""]:
    """Metric ⟨X, Y⟩ = Σ_σ tr(X_σᵀ Y_σ); dE = ⟨grad E, X⟩."""
    return jnp.sum(x * y)


def project(system: System, at: Point, change: Float[Array, "spin ao occ"]) -> Tangent:
    """Horizontal part C_vᵀ S Z of a change Z of the occupied orbitals; the rest does not move the subspace."""
    return jnp.swapaxes(at.virtual, -1, -2) @ system.overlap @ change


def generator(x: Tangent) -> Float[Array, "spin mo mo"]:
    """κ over occupied, then virtual orbitals: κ_vo = X, κ_ov = −Xᵀ."""
    virt, occ = x.shape[-2:]
    lower = jnp.pad(x, ((0, 0), (occ, 0), (0, virt)))
    return lower - jnp.swapaxes(lower, -1, -2)


def _rotate(at: Point, rotation: Float[Array, "spin mo mo"]) -> Point:
    occ = at.occupied.shape[-1]
    turned = jnp.concatenate([at.occupied, at.virtual], axis=-1) @ rotation
    return Point(turned[..., :occ], turned[..., occ:])


def exponential(at: Point, x: Tangent) -> Point:
    """End of the geodesic that starts along X, C exp(κ); the frames are carried along in parallel."""
    return _rotate(at, jax.vmap(jax.scipy.linalg.expm)(generator(x)))


def retract(at: Point, x: Tangent) -> Point:
    """Cayley transform C (1 + κ/2)(1 − κ/2)⁻¹: the geodesic to second order, for one linear solve."""
    half = 0.5 * generator(x)
    one = jnp.eye(half.shape[-1], dtype=half.dtype)
    return _rotate(at, jnp.linalg.solve(one - half, one + half))


def parallel_transport(system: System, at: Point, along: Tangent, x: Tangent, to: Point) -> Tangent:
    """X carried from `at` along the geodesic of `along` to its end, in the frames of `to`, a point there.

    In frames that are carried along the coordinates stay as they are, so that only the frames' difference is left.
    """
    end = exponential(at, along)
    virtual = jnp.swapaxes(to.virtual, -1, -2) @ system.overlap @ end.virtual
    occupied = jnp.swapaxes(end.occupied, -1, -2) @ system.overlap @ to.occupied
    return virtual @ x @ occupied


def _principal(system: System, at: Point, to: Point) -> tuple[Array, Array, Array]:
    """U, θ, Vᵀ of C_v,atᵀ S C_to (C_o,atᵀ S C_to)⁻¹ = U tan(θ) Vᵀ, θ the principal angles."""
    cosine = jnp.swapaxes(at.occupied, -1, -2) @ system.overlap @ to.occupied
    cosine = cosine + jax.vmap(jnp.diag)(absent(to.occupied).astype(cosine.dtype))
    u, sizes, vt = jnp.linalg.svd(project(system, at, to.occupied) @ jnp.linalg.inv(cosine), full_matrices=False)
    return u, jnp.arctan(sizes), vt


def logarithm(system: System, at: Point, to: Point) -> Tangent:
    """The tangent whose geodesic ends at `to`, the shortest one; subspaces must not be orthogonal anywhere."""
    u, angles, vt = _principal(system, at, to)
    return (u * angles[:, None, :]) @ vt


def distance(system: System, at: Point, to: Point) -> Float[Array, ""]:
    """Geodesic distance √Σ θ², θ the principal angles between the occupied subspaces of all spins."""
    return jnp.sqrt(jnp.sum(_principal(system, at, to)[1] ** 2))


# --- derivatives of the energy ---


def density_change(at: Point, x: Tangent) -> tuple[Float[Array, "spin ao occ"], Float[Array, "spin ao occ"]]:
    """Factors A, B of δD = A Bᵀ + B Aᵀ along X."""
    return at.electrons_per_orbital * at.virtual @ x, at.occupied


def blocks(
    at: Point, fock: Float[Array, "spin ao ao"]
) -> tuple[Float[Array, "spin occ occ"], Tangent, Float[Array, "spin virt virt"]]:
    """F_oo, F_vo, F_vv of a matrix in atomic orbitals."""
    to_occ, to_virt = fock @ at.occupied, fock @ at.virtual
    transposed = jnp.swapaxes(at.virtual, -1, -2)
    return jnp.swapaxes(at.occupied, -1, -2) @ to_occ, transposed @ to_occ, transposed @ to_virt


def gradient_from(at: Point, fock: Float[Array, "spin ao ao"]) -> Tangent:
    """2n F_vo of a Fock matrix at hand."""
    return 2 * at.electrons_per_orbital * blocks(at, fock)[1]


def product_from(
    at: Point, fock: Float[Array, "spin ao ao"], response: Float[Array, "spin ao occ"], x: Tangent
) -> Tangent:
    """2n (F_vv X − X F_oo + C_vᵀ δF C_o) of a Fock matrix and its response δF C_o along X at hand."""
    occ_occ, _, virt_virt = blocks(at, fock)
    answer = jnp.swapaxes(at.virtual, -1, -2) @ response
    return 2 * at.electrons_per_orbital * (virt_virt @ x - x @ occ_occ + answer)


def hvp_from(functional: Functional, system: System, at: Point, held: Reference, x: Tangent) -> Tangent:
    """Hessian times X where the Fock matrix and the features are at hand."""
    return product_from(at, held.fock, fock_response(functional, system, held, *density_change(at, x)), x)


def reference_at(functional: Functional, system: System, at: Point) -> Reference:
    """Energy, Fock matrix and features of a point."""
    return reference(functional, system, at.dm, jnp.sqrt(at.electrons_per_orbital) * at.occupied)


@jax.jit
def energy(functional: Functional, system: System, at: Point) -> Float[Array, ""]:
    """Total energy of a point in hartree."""
    return reference_at(functional, system, at).energy


@jax.jit
def gradient(functional: Functional, system: System, at: Point) -> Tangent:
    """Riemannian gradient 2n F_vo in hartree."""
    return gradient_from(at, reference_at(functional, system, at).fock)


@jax.jit
def hvp(functional: Functional, system: System, at: Point, x: Tangent) -> Tangent:
    """Riemannian Hessian times a tangent, in hartree; differentiable in every argument."""
    return hvp_from(functional, system, at, reference_at(functional, system, at), x)


@partial(jax.jit, static_argnames="batch")
def hessian(functional: Functional, system: System, at: Point, batch: int = 8) -> Float[Array, "row column"]:
    """The whole Hessian over the ravelled tangent (spin, virt, occ), `batch` columns at a time."""
    held = reference_at(functional, system, at)
    shape = (at.virtual.shape[0], at.virtual.shape[-1], at.occupied.shape[-1])
    size = int(np.prod(shape))

    def column(unit):
        return hvp_from(functional, system, at, held, unit.reshape(shape)).ravel()

    return jax.lax.map(column, jnp.eye(size), batch_size=batch).T
