"""E[P]: the Kohn–Sham energy as a function of the density matrix, and its parts.

    E[D] = Σ_μν h_μν D_μν + ½ (D|D) − Σ_k c_k E_K[D; ω_k] + E_xc[ρ_D] + E_nn

Everything else follows by differentiation: the Fock matrix is ∂E/∂D, the orbital Hessian its directional
derivative, a training gradient ∂E/∂(functional's parameters).
"""

from dataclasses import dataclass
from functools import partial
from math import gcd

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from jqc.errors import FunctionalError
from jqc.numerics import pack, unpack, with_shortcut
from jqc.system import System
from jqc.typing import Array, Float
from jqc.xc.base import Functional
from jqc.xc.quadrature import Features, electron_number, features, read_by, xc_energy

AUX_CHUNK = 32
"""Fitting functions whose integrals are unpacked at a time."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class EnergyParts:
    """Terms of the energy in hartree, and the electron number that the quadrature counts."""

    kinetic: Float[Array, ""]
    nuclear_attraction: Float[Array, ""]
    coulomb: Float[Array, ""]
    exact_exchange: Float[Array, ""]
    exchange_correlation: Float[Array, ""]
    nuclear_repulsion: Float[Array, ""]
    n_electrons_quadrature: Float[Array, ""]

    @property
    def total(self) -> Float[Array, ""]:
        """Their sum."""
        return (
            self.kinetic
            + self.nuclear_attraction
            + self.coulomb
            + self.exact_exchange
            + self.exchange_correlation
            + self.nuclear_repulsion
        )


def coulomb_energy(factor: Float[Array, "aux pair"], dm: Float[Array, "ao ao"]) -> Float[Array, ""]:
    """½ (D|D) = ½ Σ_L (Σ_μν B_Lμν D_μν)²; its gradient is the Coulomb matrix."""
    gamma = factor @ pack(dm)
    return 0.5 * gamma @ gamma


def _over_chunks(factor: Float[Array, "aux pair"], n: int, contribution, columns: int = 0) -> Float[Array, "ao column"]:
    """Sum over fitting functions of `contribution(B)`, B unpacked (chunk, ao, ao), a chunk at a time."""
    chunk = gcd(factor.shape[0], AUX_CHUNK)

    @partial(jax.checkpoint, prevent_cse=False)
    def add(total, rows):
        return total + contribution(unpack(rows, n)), None

    start = jnp.zeros((n, columns or n), factor.dtype)
    return jax.lax.scan(add, start, factor.reshape(-1, chunk, factor.shape[1]))[0]


def _exchange_from_dm(dm: Float[Array, "ao ao"], factor: Float[Array, "aux pair"]) -> Float[Array, "ao ao"]:
    """K_μν = Σ_Lλσ B_Lμλ D_λσ B_Lσν."""

    def contribution(b):
        return jnp.einsum("lms,lns->mn", b @ dm, b)

    return _over_chunks(factor, dm.shape[0], contribution)


def _exchange_from_occupied(occupied: Float[Array, "ao occ"], dm, factor) -> Float[Array, "ao ao"]:
    """K_μν = Σ_Li X_Lμi X_Lνi, X = B A with D = A Aᵀ."""

    def contribution(b):
        half = b @ occupied
        return jnp.einsum("lmi,lni->mn", half, half)

    return _over_chunks(factor, dm.shape[0], contribution)


exchange_matrix = with_shortcut(_exchange_from_dm, _exchange_from_occupied)
"""K[D] of one spin as `exchange_matrix(occupied or None, dm, factor)`; linear in D."""


def exchange_on_pair(
    left: Float[Array, "ao occ"], right: Float[Array, "ao occ"], factor: Float[Array, "aux pair"], sign: int = 1
) -> Float[Array, "ao occ"]:
    """K[A Bᵀ + B Aᵀ] B of two factors A, B, or K[A Bᵀ − B Aᵀ] B with `sign=-1`."""

    def contribution(b):
        half = b @ right
        direct = jnp.einsum("lmj,lji->mi", b @ left, right.T @ half)
        return direct + sign * jnp.einsum("lmj,lji->mi", half, left.T @ half)

    return _over_chunks(factor, left.shape[0], contribution, columns=left.shape[1])


@jax.custom_jvp
def exchange_energy(
    occupied: Float[Array, "ao occ"] | None, dm: Float[Array, "ao ao"], factor: Float[Array, "aux pair"]
) -> Float[Array, ""]:
    """½ Σ (μλ|σν) D_μν D_λσ of one spin; its gradient is the exchange matrix, built once for value and slope."""
    return 0.5 * jnp.sum(dm * exchange_matrix(occupied, dm, factor))


@partial(exchange_energy.defjvp, symbolic_zeros=True)
def _exchange_energy_jvp(primals, tangents):
    occupied, dm, factor = primals
    _, dm_slope, factor_slope = tangents
    matrix = exchange_matrix(occupied, dm, factor)
    value = 0.5 * jnp.sum(dm * matrix)
    slope = jnp.zeros_like(value)
    if not isinstance(dm_slope, SymbolicZero):
        slope = slope + jnp.sum(matrix * dm_slope)
    if not isinstance(factor_slope, SymbolicZero):
        moved = jax.jvp(lambda f: exchange_matrix(occupied, dm, f), (factor,), (factor_slope,))[1]
        slope = slope + 0.5 * jnp.sum(dm * moved)
    return value, slope


def energy_parts(
    functional: Functional,
    system: System,
    dm: Float[Array, "spin ao ao"],
    occupied: Float[Array, "spin ao occ"] | None = None,
) -> EnergyParts:
    """Every term of E[D] for padded density matrices with a spin axis."""
    return parts_and_features(functional, system, dm, occupied)[0]


def parts_and_features(
    functional: Functional,
    system: System,
    dm: Float[Array, "spin ao ao"],
    occupied: Float[Array, "spin ao occ"] | None = None,
) -> tuple[EnergyParts, Features]:
    """Every term of E[D], and the density features that its kernel is evaluated at."""
    total = dm.sum(0)
    exchange = jnp.zeros((), dm.dtype)
    for omega, coefficient in functional.exchange:
        for s in range(dm.shape[0]):
            hint = None if occupied is None else occupied[s]
            spin_energy = exchange_energy(hint, dm[s], range_factor(system, omega))
            exchange -= coefficient * dm.shape[0] / 2 * spin_energy
    u = features(system, dm, read_by(functional), occupied)
    parts = EnergyParts(
        kinetic=jnp.sum(system.kinetic * total),
        nuclear_attraction=jnp.sum(system.attraction * total),
        coulomb=coulomb_energy(system.repulsion[0.0], total),
        exact_exchange=exchange,
        exchange_correlation=xc_energy(functional, system, u),
        nuclear_repulsion=system.nuclear_repulsion,
        n_electrons_quadrature=electron_number(system, u),
    )
    return parts, u


def range_factor(system: System, omega: float) -> Float[Array, "aux pair"]:
    """Two-electron factor of range ω.

    Raises:
        FunctionalError: the system holds no integrals of that range.
    """
    if omega not in system.repulsion:
        raise FunctionalError(
            f"the functional needs attenuated integrals with ω = {omega}, which this system does not hold; add them "
            f"with jqc.system.with_range(system, ({omega},))."
        )
    return system.repulsion[omega]


def energy(
    functional: Functional,
    system: System,
    dm: Float[Array, "ao ao"] | Float[Array, "2 ao ao"],
) -> Float[Array, ""]:
    """Total energy in hartree of a density matrix, restricted (ao, ao) or unrestricted (2, ao, ao).

    Differentiable in all three arguments: `jax.grad(energy, argnums=2)` is the Fock matrix, a second derivative
    the orbital Hessian, `jax.grad(energy)` a functional's training gradient. The dm may leave out the padding.
    """
    n = dm.shape[-1]
    padding = system.n_padded - n
    dm = jnp.pad(dm.reshape(-1, n, n), ((0, 0), (0, padding), (0, padding)))
    return energy_parts(functional, system, dm).total
