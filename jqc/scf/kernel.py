"""How the Fock matrix answers a change of the density, for any functional.

    δF_σ = J[δD] − Σ_k c_k (n_s/2) K[δD_σ; ω_k] + Lᵀ f″(u) L δD,      u = L D

with n_s the number of spin rows (one if restricted) and f the exchange-correlation energy of the features u. Nobody
writes f″: it is the directional derivative of f′, on the grid, where no basis function is needed. Where a closed
shell's spins change oppositely (triplets), J[δD] vanishes and f″ is that of both spins along (δu/2, −δu/2); one row
still says it all.
"""

from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp

from jqc.scf.energy import EnergyParts, parts_and_features, parts_around
from jqc.scf.repulsion import coulomb_energy, exchange_on_pair, exchange_operator
from jqc.system import System
from jqc.typing import Array, Float
from jqc.xc.base import Functional
from jqc.xc.one_pass import energy_and_potential, in_one_pass
from jqc.xc.quadrature import Features, both_spins, pair_features, read_by, xc_energy


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Reference:
    """A density's energy, Fock matrix and features, around which its response is computed; f″ where it is kept.

    With `triplet` the spins of a closed shell change oppositely; a change is that of the first one, doubled.
    """

    parts: EnergyParts
    fock: Float[Array, "spin ao ao"]
    u: Features
    kernel: Float[Array, "row row grid"] | None = None
    triplet: bool = field(default=False, metadata={"static": True})

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
    once = energy_and_potential(functional, system, dm, occupied) if in_one_pass(functional, system) else None

    def total(dm):
        if once is None:
            parts, u = parts_and_features(functional, system, dm, occupied)
        else:
            parts, u = parts_around(functional, system, dm, occupied, once.u, once.energy), once.u
        return parts.total, (parts, u)

    (_, (parts, u)), fock = jax.value_and_grad(total, has_aux=True)(dm)
    fock = fock if once is None else fock + once.potential
    return Reference(parts, 0.5 * (fock + jnp.swapaxes(fock, -1, -2)), u)


def keep_kernel(functional: Functional, system: System, held: Reference) -> Reference:
    """The reference with f″ at every point, which pays where many responses are to come; a local functional's only."""
    if not functional.local:
        return held
    spin, feature, grid = held.u.shape
    rows = jnp.eye(spin * feature, dtype=held.u.dtype).reshape(-1, spin, feature, 1)

    def column(row):
        change = jnp.broadcast_to(row, held.u.shape)
        return kernel_product(functional, system, held, change).reshape(-1, grid)

    return replace(held, kernel=jax.lax.map(column, rows))


def kernel_product(functional: Functional, system: System, held: Reference, change: Features) -> Features:
    """f″(u) times a change of the features."""
    if held.kernel is not None:
        return jnp.einsum("ijg,jg->ig", held.kernel, change.reshape(len(held.kernel), -1)).reshape(change.shape)
    slope = jax.grad(lambda u: xc_energy(functional, system, u))
    if not held.triplet:
        return jax.jvp(slope, (held.u,), (change,))[1]
    spins, changes = both_spins(held.u, change, -1.0)
    return jax.jvp(slope, (spins,), (changes,))[1][:1]


def fock_response(
    functional: Functional,
    system: System,
    held: Reference,
    left: Float[Array, "spin ao occ"],
    right: Float[Array, "spin ao occ"],
) -> Float[Array, "spin ao occ"]:
    """δF B for a change δD = A Bᵀ + B Aᵀ around a density.

    Only what meets the occupied orbitals B is made, which saves most of the work. `vmap` over A shares the rest.
    """
    response = xc_response(functional, system, held, left, right)
    if not held.triplet:
        change = (left @ jnp.swapaxes(right, -1, -2)).sum(0)
        response += jax.grad(coulomb_energy, argnums=1)(system.repulsion[0.0], change + change.T) @ right
    for omega, coefficient in functional.exchange:
        operator = exchange_operator(system, omega)
        parts = [exchange_on_pair(a, b, operator) for a, b in zip(left, right, strict=True)]
        response -= coefficient * left.shape[0] / 2 * jnp.stack(parts)
    return response


def xc_response(
    functional: Functional,
    system: System,
    held: Reference,
    left: Float[Array, "spin ao occ"],
    right: Float[Array, "spin ao occ"],
) -> Float[Array, "spin ao occ"]:
    """Lᵀ f″(u) L δD times B."""

    def project(left):
        return pair_features(system, left, right, read_by(functional))

    potential = kernel_product(functional, system, held, project(left))
    return 0.5 * jax.linear_transpose(project, left)(potential)[0]
