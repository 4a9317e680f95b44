"""How the Fock matrix answers a change of the density, for any functional.

    δF_σ = J[δD] − Σ_k c_k (n_s/2) K[δD_σ; ω_k] + Lᵀ f″(u) L δD,      u = L D

with n_s the number of spin rows (one if restricted) and f the exchange-correlation energy of the features u. Nobody
writes f″: it is the directional derivative of f′, on the grid, where no basis function is needed.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jqc.scf.energy import EnergyParts, coulomb_energy, exchange_of_pair, parts_and_features, range_factor
from jqc.system import System
from jqc.typing import Array, Float
from jqc.xc.base import Functional
from jqc.xc.quadrature import Features, features, read_by, xc_energy


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Reference:
    """A density's energy, Fock matrix and features, around which its response is computed."""

    parts: EnergyParts
    fock: Float[Array, "spin ao ao"]
    u: Features

    @property
    def energy(self) -> Float[Array, ""]:
        """Total energy in hartree."""
        return self.parts.total


def reference(
    functional: Functional,
    system: System,
    dm: Float[Array, "spin ao ao"],
    occupied: Float[Array, "spin ao occ"] | None = None,
) -> Reference:
    """Energy and its derivative at a density; `occupied` as in `jqc.xc.quadrature.features`."""

    def total(dm):
        parts, u = parts_and_features(functional, system, dm, occupied)
        return parts.total, (parts, u)

    (_, (parts, u)), fock = jax.value_and_grad(total, has_aux=True)(dm)
    return Reference(parts, 0.5 * (fock + jnp.swapaxes(fock, -1, -2)), u)


def fock_response(
    functional: Functional,
    system: System,
    u: Features,
    left: Float[Array, "spin ao occ"],
    right: Float[Array, "spin ao occ"],
) -> Float[Array, "spin ao ao"]:
    """δF for a change δD = A Bᵀ + B Aᵀ of the density whose features are `u`."""
    change = left @ jnp.swapaxes(right, -1, -2)
    change = change + jnp.swapaxes(change, -1, -2)
    response = xc_response(functional, system, u, change)
    response += jax.grad(coulomb_energy, argnums=1)(system.repulsion[0.0], change.sum(0))
    for omega, coefficient in functional.exchange:
        factor = range_factor(system, omega)
        matrices = [exchange_of_pair(a, b, factor) for a, b in zip(left, right, strict=True)]
        response -= coefficient * change.shape[0] / 2 * jnp.stack(matrices)
    return response


def xc_response(
    functional: Functional, system: System, u: Features, change: Float[Array, "spin ao ao"]
) -> Float[Array, "spin ao ao"]:
    """Lᵀ f″(u) L δD."""

    def project(dm):
        return features(system, dm, read_by(functional))

    slope = jax.grad(lambda u: xc_energy(functional, system, u))
    kernel = jax.jvp(slope, (u,), (project(change),))[1]
    return jax.linear_transpose(project, change)(kernel)[0]
