"""How far a student is from its teacher at one molecule: energies, gradients and Hessian products of their difference.

With V = ∂E/∂D of the difference at a density, δV its change along δD = n (C_v X C_oᵀ + h.c.), and exact exchange added
from the labels,

    gradient = 2n V_vo,     Hess[X] = 2n (V_vv X − X V_oo + C_vᵀ δV C_o)

(`jqc.scf.grassmann`; one-electron and Coulomb terms cancel). Every density and tangent is a pair of factors of one and
the same linear map to the grid, so that all go through it together, and all potentials back through its transpose.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from jqc.distill.difference import Difference
from jqc.distill.example import Example
from jqc.scf.grassmann import Tangent
from jqc.system.sampled import Sampled
from jqc.typing import Array, Float
from jqc.xc.base import Ingredients
from jqc.xc.quadrature import Features, both_spins, pair_features, quadrature, read_by, xc_energy


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Residuals:
    """Student less teacher in hartree; the solution comes first, products are at the solution along some tangents."""

    energies: Float[Array, "density"]
    gradients: Float[Array, "density spin virt occ"]
    products: Float[Array, "chosen spin virt occ"]


def residuals(
    difference: Difference,
    example: Example,
    chosen: Float[Array, "chosen tangent"],
    signs: Float[Array, "chosen"],
) -> Residuals:
    """Energies and gradients at the example's densities, products along combinations `chosen` of its tangents.

    `signs` is 1 where a closed shell's spins change alike along a tangent, −1 where oppositely (triplets).
    """
    sampled, ingredients = example.sampled, read_by(difference)
    occupied, virtual = example.points.occupied, example.points.virtual
    densities = len(occupied)
    n = example.electrons_per_orbital
    x = jnp.tensordot(chosen, example.tangents, axes=1)
    moved, here = virtual[0] @ x, jnp.broadcast_to(occupied[0], (len(x), *occupied.shape[1:]))
    left, right = jnp.concatenate([0.5 * n * occupied, n * moved]), jnp.concatenate([occupied, here])
    u, changes = jnp.split(_to_grid(sampled, ingredients, left, right), [densities])
    energies, slopes, answers = _derivatives(partial(xc_energy, difference, sampled), u, changes, signs)
    right = jnp.concatenate([occupied, here, moved])
    potentials = jnp.concatenate([slopes, answers, jnp.broadcast_to(slopes[0], answers.shape)])
    potentials_on = _from_grid(sampled, ingredients, right, potentials)
    on_occupied, answered, on_moved = jnp.split(potentials_on, [densities, densities + len(x)])
    occ_occ = _transposed(occupied[0]) @ on_occupied[0]
    gradients = 2 * n * _transposed(virtual) @ on_occupied
    products = 2 * n * (_transposed(virtual[0]) @ (on_moved + answered) - x @ occ_occ)
    for omega, share in difference.exchange:
        labels = example.exchange[omega]
        energies += share * labels.energies
        gradients += share * labels.gradients
        products += share * jnp.tensordot(chosen, labels.products, axes=1)
    return Residuals(energies, gradients, products)


def density_error(example: Example, gradient: Tangent) -> Float[Array, ""]:
    """∫(δρ)² of the density that one diagonalisation of the student's Fock matrix makes of the teacher's solution.

    To first order: rotations −g/D, D = 2n(ε_a − ε_i), with the gradient g of the difference.
    """
    step = example.electrons_per_orbital * example.points.virtual[:1] @ (-example.inverse_curvature * gradient)
    change = _to_grid(example.sampled, "rho", step, example.points.occupied[:1])[0, :, 0].sum(0)
    return jnp.sum(change**2 * quadrature(example.sampled).weights)


def _transposed(frame: Array) -> Array:
    return jnp.swapaxes(frame, -1, -2)


def _to_grid(
    sampled: Sampled, ingredients: Ingredients, left: Array, right: Array
) -> Float[Array, "row spin feature grid"]:
    """Features of A Bᵀ + B Aᵀ for every row and spin."""
    flat = lambda frames: frames.reshape(-1, *frames.shape[2:])  # noqa: E731
    found = pair_features(sampled, flat(left), flat(right), ingredients)
    return found.reshape(*left.shape[:2], *found.shape[1:])


def _from_grid(
    sampled: Sampled, ingredients: Ingredients, frames: Array, potentials: Array
) -> Float[Array, "row spin ao occ"]:
    """V B for every row and spin."""
    pull = jax.linear_transpose(lambda left: _to_grid(sampled, ingredients, left, frames), frames)
    return 0.5 * pull(potentials)[0]


def _derivatives(
    energy: Callable[[Features], Array], u: Float[Array, "row spin feature grid"], changes: Array, signs: Array
) -> tuple[Float[Array, "row"], Array, Array]:
    """Energies and slopes at all densities, and changes of the first one's slope."""
    at_each = jax.vmap(jax.value_and_grad(energy))
    if not len(changes):
        return *at_each(u), changes
    rows = u.shape[1]

    def along(each):
        # Two rows for any tangent of a closed shell: derivatives of a `cond` store what either of its branches needs.
        here, change = (u[0], each[0]) if rows == 2 else both_spins(u[0], *each)
        (value, slope), (_, answer) = jax.jvp(jax.value_and_grad(energy), (here,), (change,))
        return value, slope[:rows], answer[:rows]

    first, slope, answers = jax.lax.map(along, (changes, signs))
    energies, slopes = at_each(u[1:]) if len(u) > 1 else (u[1:, 0, 0, 0], u[1:])
    return jnp.concatenate([first[:1], energies]), jnp.concatenate([slope[:1], slopes]), answers
