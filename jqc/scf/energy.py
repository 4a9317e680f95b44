"""E[P]: the Kohn–Sham energy as a function of the density matrix, and its parts.

    E[D] = Σ_μν h_μν D_μν + ½ (D|D) − Σ_k c_k E_K[D; ω_k] + E_xc[ρ_D] + E_nn

Everything else follows by differentiation: the Fock matrix is ∂E/∂D, the orbital Hessian its directional
derivative, a training gradient ∂E/∂(functional's parameters).
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jqc.scf.repulsion import coulomb_energy, exchange_energy, exchange_operator
from jqc.system import System
from jqc.typing import Array, Float
from jqc.xc.base import Functional
from jqc.xc.quadrature import Features, electron_number, features, read_by, xc_energy


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
    u = features(system, dm, read_by(functional), occupied)
    return parts_around(functional, system, dm, occupied, u, xc_energy(functional, system, u)), u


def parts_around(
    functional: Functional,
    system: System,
    dm: Float[Array, "spin ao ao"],
    occupied: Float[Array, "spin ao occ"] | None,
    u: Features,
    exchange_correlation: Float[Array, ""],
) -> EnergyParts:
    """Every term of E[D] around what the quadrature has found."""
    total = dm.sum(0)
    exchange = jnp.zeros((), dm.dtype)
    for omega, coefficient in functional.exchange:
        for s in range(dm.shape[0]):
            hint = None if occupied is None else occupied[s]
            spin_energy = exchange_energy(hint, dm[s], exchange_operator(system, omega))
            exchange -= coefficient * dm.shape[0] / 2 * spin_energy
    return EnergyParts(
        kinetic=jnp.sum(system.kinetic * dm),
        nuclear_attraction=jnp.sum(system.attraction * total),
        coulomb=coulomb_energy(system.repulsion[0.0], total),
        exact_exchange=exchange,
        exchange_correlation=exchange_correlation,
        nuclear_repulsion=system.nuclear_repulsion,
        n_electrons_quadrature=electron_number(system, u),
    )


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
