"""Exact exchange of one range on the Grassmannian: energy, gradient and Hessian products with coefficient one.

E_K[D] = −(n_s/2) Σ_σ ½ Σ (μλ|σν) D_μν D_λσ with n_s spin rows. A teacher holds it, a fast student does not: the
difference of the two needs what is kept here, and no integrals.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jqc.scf.grassmann import Point, Tangent, density_change, gradient_from, product_from
from jqc.scf.repulsion import Operator, exchange_matrix, exchange_on_pair
from jqc.typing import Array, Float


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ExchangeLabels:
    """Energies and gradients at a solution and at displaced densities, products at the solution, in hartree."""

    energies: Float[Array, "density"]
    gradients: Float[Array, "density spin virt occ"]
    products: Float[Array, "tangent spin virt occ"]


def exchange_labels(
    operator: Operator, at: Point, displaced: Point, tangents: Float[Array, "tangent spin virt occ"]
) -> ExchangeLabels:
    """Labels of one range from what makes it; `displaced` holds the geodesics' ends, tangents leading."""

    def energy_and_gradient(at: Point, fock: Float[Array, "spin ao ao"]) -> tuple[Array, Tangent]:
        return 0.5 * jnp.sum(fock * at.dm), gradient_from(at, fock)

    fock = _fock(operator, at)
    here = energy_and_gradient(at, fock)
    there = jax.lax.map(lambda end: energy_and_gradient(end, _fock(operator, end)), displaced)
    energies, gradients = (jnp.concatenate([one[None], many]) for one, many in zip(here, there, strict=True))
    return ExchangeLabels(energies, gradients, jax.lax.map(lambda x: _product(operator, at, fock, x), tangents))


def _fock(operator: Operator, at: Point) -> Float[Array, "spin ao ao"]:
    """∂E_K/∂D = −(n_s/2) K[D_σ]."""
    occupied = jnp.sqrt(at.electrons_per_orbital) * at.occupied
    matrices = [exchange_matrix(a, d, operator) for a, d in zip(occupied, at.dm, strict=True)]
    return -0.5 * len(matrices) * jnp.stack(matrices)


def _product(operator: Operator, at: Point, fock: Float[Array, "spin ao ao"], x: Tangent) -> Tangent:
    """Hessian of E_K times X."""
    left, right = density_change(at, x)
    pairs = [exchange_on_pair(a, b, operator) for a, b in zip(left, right, strict=True)]
    return product_from(at, fock, -0.5 * len(pairs) * jnp.stack(pairs), x)


FIELDS = ("energies", "gradients", "products")


def named(labels: dict[float, ExchangeLabels]) -> dict[str, Array]:
    """Arrays by the names that a record gives them, such as `exchange_energies_0`, or `…_m0p11` for ω = −0.11."""
    words = {omega: f"{omega:g}".replace("-", "m").replace(".", "p") for omega in labels}
    return {
        f"exchange_{field}_{words[omega]}": getattr(each, field) for omega, each in labels.items() for field in FIELDS
    }


def stored_exchange(arrays: Mapping[str, Any]) -> dict[float, ExchangeLabels]:
    """Labels of every range that a record holds."""
    start = f"exchange_{FIELDS[0]}_"
    ranges = [name.removeprefix(start) for name in arrays if name.startswith(start)]
    return {
        float(word.replace("m", "-").replace("p", ".")): ExchangeLabels(
            *(arrays[f"exchange_{field}_{word}"] for field in FIELDS)
        )
        for word in ranges
    }
