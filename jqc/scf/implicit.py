"""Derivatives of a converged SCF without unrolling it.

Near the solution C the occupied subspaces are D(x) = n Y (YᵀSY)⁻¹ Yᵀ, Y = C_o + C_v x, and the SCF is the root x = 0 of
g(x; θ) = ∂E[D(x); θ]/∂x. With the orbital Hessian H₀ of the solution held constant, every chord step

    x ↦ x − H₀⁻¹ g(x; θ)

makes x(θ) right to one more order in θ, so that as many steps as derivatives are taken give the implicit function
theorem to that order. H₀ is symmetric and, at a minimum, positive whether or not orbital energies are degenerate. Its
inverse is a transposable linear solve: forward, reverse and mixed derivatives follow, none through eigenvectors.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jqc.scf.canonical import diagonal_preconditioner
from jqc.scf.energy import energy_parts
from jqc.scf.grassmann import Point, Tangent, absent, hvp_from, inner, reference_at
from jqc.system import System
from jqc.typing import Array, Float
from jqc.xc.base import Functional

TOLERANCE, MOST_PRODUCTS = 1e-9, 200
"""Relative residual of the linear solve, and its Hessian-vector products at most."""


def chart(system: System, at: Point, x: Tangent) -> Float[Array, "spin ao ao"]:
    """D(x), a density matrix of the right rank for every x and every overlap."""
    moved = at.occupied + at.virtual @ x
    gram = jnp.swapaxes(moved, -1, -2) @ system.overlap @ moved
    gram = gram + jax.vmap(jnp.diag)(absent(at.occupied).astype(gram.dtype))
    return at.electrons_per_orbital * moved @ jnp.linalg.solve(gram, jnp.swapaxes(moved, -1, -2))


def relaxed_dm(functional: Functional, system: System, at: Point, order: int = 2) -> Float[Array, "spin ao ao"]:
    """Density matrix of the SCF solution `at`, as a differentiable function of functional and system.

    Parameters
    ----------
    functional, system
        What the derivative is taken by; their values are those that `at` solves. `jqc.system.traced_system` makes a
        system that is a function of positions and basis parameters.
    at
        The solution, from `jqc.scf.grassmann.point`; a constant. What is left of its gradient is removed to first
        order on the way.
    order
        Highest order of derivatives that will be taken; each costs a linear solve. Higher ones would be wrong. The
        energy at an error of the density is wrong by its square, so that order n serves its derivatives up to 2n + 1.

    >>> import jax; jax.config.update("jax_enable_x64", True)
    >>> import jqc
    >>> from jqc.scf.grassmann import point
    >>> helium = jqc.build_system(jqc.Molecule.from_arrays(["He"], [[0.0, 0.0, 0.0]]))
    >>> result = jqc.scf(helium, "lda")
    >>> at = point(helium, result.mo_coeff)
    >>> bool(jnp.allclose(relaxed_dm(result.functional, helium, at)[0, :5, :5], result.dm, atol=1e-4))
    True
    """
    at = jax.lax.stop_gradient(at)
    inverse = _inverse_hessian(*jax.lax.stop_gradient((functional, system)), at)
    slope = jax.grad(lambda x: energy_parts(functional, system, chart(system, at, x)).total)
    x = jnp.zeros((at.virtual.shape[0], at.virtual.shape[-1], at.occupied.shape[-1]))
    for _ in range(order):
        x = x - inverse(slope(x))
    return chart(system, at, x)


def _inverse_hessian(functional: Functional, system: System, at: Point) -> Callable[[Tangent], Tangent]:
    """H₀⁻¹ by conjugate gradients, preconditioned with differences of orbital energies."""
    held = reference_at(functional, system, at)
    scale = diagonal_preconditioner(at, held.fock)

    def product(x: Tangent) -> Tangent:
        return hvp_from(functional, system, at, held, x)

    def solve(product, right):
        return conjugate_gradients(product, right, scale)

    return lambda right: jax.lax.custom_linear_solve(product, right, solve, symmetric=True)


def conjugate_gradients(product: Callable[[Tangent], Tangent], right: Tangent, scale: Tangent) -> Tangent:
    """Solution x of Hx = b, preconditioned by a diagonal.

    JAX's own hands its starting point and b over together, which gives the former a tangent that the transpose of
    `custom_linear_solve` cannot take.
    """
    target = TOLERANCE * jnp.sqrt(inner(right, right))

    def going(carry):
        _, residual, _, _, count = carry
        return (jnp.sqrt(inner(residual, residual)) > target) & (count < MOST_PRODUCTS)

    def descend(carry):
        x, residual, direction, slope, count = carry
        image = product(direction)
        length = slope / inner(direction, image)
        x, residual = x + length * direction, residual - length * image
        new_slope = inner(residual, residual / scale)
        return x, residual, residual / scale + (new_slope / slope) * direction, new_slope, count + 1

    begin = (jnp.zeros(scale.shape), right, right / scale, inner(right, right / scale), 0)
    return jax.lax.while_loop(going, descend, begin)[0]
