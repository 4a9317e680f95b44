"""Second-order SCF: trust-region Newton on the Grassmannian with preconditioned conjugate gradients.

Each step minimises the model ⟨g, X⟩ + ½⟨X, HX⟩ within ‖X‖_M ≤ radius by truncated conjugate gradients (Steihaug,
SIAM J. Numer. Anal. 20, 626 (1983), doi:10.1137/0720042; on manifolds Absil, Baker & Gallivan, Found. Comput. Math. 7,
303 (2007), doi:10.1007/s10208-005-0179-9), M the differences of orbital energies. Directions of negative curvature are
followed to the boundary, so that it ends in a minimum where DIIS oscillates or finds a saddle point.
"""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp

from jqc.scf.canonical import canonical, gaps, preconditioner
from jqc.scf.descent import Descent
from jqc.scf.grassmann import Point, Tangent, gradient_from, hvp_from, inner, reference_at, retract
from jqc.scf.step import SCFSettings
from jqc.system import System
from jqc.typing import Array, Float
from jqc.xc.base import Functional

FIRST_RADIUS, LARGEST_RADIUS = 1.0, 8.0
"""Trust radii in the preconditioner's norm."""

MOST_PRODUCTS = 40
"""Hessian-vector products of one step."""

NOISE = 1e-9
"""Energy changes below this, relative to one hartree, are rounding and accept a step that the model likes."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class NewtonState(Descent):
    """A descent with its trust radius."""

    radius: Float[Array, ""]


def start(functional: Functional, system: System, at: Point) -> NewtonState:
    """State of a point."""
    return NewtonState.begin(at, reference_at(functional, system, at), radius=jnp.asarray(FIRST_RADIUS))


def step(functional: Functional, system: System, state: NewtonState, settings: SCFSettings) -> NewtonState:
    """Model step, energy of its end, and a radius that fits how well the model foretold it."""
    at, *energies = canonical(state.at, state.held.fock)
    gradient = gradient_from(at, state.held.fock)
    scale = preconditioner(at, gaps(at, *energies))
    size = jnp.sqrt(inner(gradient, gradient))
    model = truncated_cg(
        lambda x: hvp_from(functional, system, at, state.held, x),
        gradient,
        scale,
        state.radius,
        size * jnp.minimum(0.3, jnp.sqrt(size)),
    )
    end = retract(at, model.x)
    held = reference_at(functional, system, end)
    change = held.energy - state.held.energy
    noise = NOISE * jnp.maximum(1.0, 1e-3 * jnp.abs(held.energy))
    agreement = jnp.where(jnp.abs(model.change) < noise, 1.0, change / jnp.minimum(model.change, -1e-300))
    accepted = (agreement > 0.1) & jnp.isfinite(held.energy)
    at_boundary = model.length > 0.9 * state.radius
    grown = jnp.where((agreement > 0.75) & at_boundary, jnp.minimum(2 * state.radius, LARGEST_RADIUS), state.radius)
    radius = jnp.where(agreement < 0.25, 0.25 * jnp.minimum(state.radius, model.length), grown)
    at, held = jax.tree.map(lambda new, old: jnp.where(accepted, new, old), (end, held), (at, state.held))
    new = replace(
        state,
        at=at,
        held=held,
        radius=radius,
        energy_change=jnp.where(accepted, change, jnp.inf),
        iteration=state.iteration + 1,
    )
    return replace(new, converged=settings.met_by(new.energy_change, new.residual))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ModelStep:
    """Minimiser of the quadratic model in the trust region: X, the change it foretells, ‖X‖_M."""

    x: Tangent
    change: Float[Array, ""]
    length: Float[Array, ""]


def truncated_cg(
    product, gradient: Tangent, scale: Tangent, radius: Float[Array, ""], tolerance: Float[Array, ""]
) -> ModelStep:
    """Steihaug's conjugate gradients, stopped at the boundary, at negative curvature, or below the tolerance."""

    def to_boundary(x, direction):
        """τ ≥ 0 with ‖x + τd‖_M = radius."""
        a, b, c = (inner(direction, scale * direction), inner(x, scale * direction), inner(x, scale * x) - radius**2)
        return (-b + jnp.sqrt(jnp.maximum(b * b - a * c, 0.0))) / jnp.maximum(a, 1e-300)

    def going(carry):
        _, residual, _, _, count, stopped = carry
        return ~stopped & (jnp.sqrt(inner(residual, residual)) > tolerance) & (count < MOST_PRODUCTS)

    def descend(carry):
        x, residual, direction, slope, count, _ = carry
        image = product(direction)
        curvature = inner(direction, image)
        length = slope / jnp.where(curvature > 0, curvature, 1.0)
        ahead = x + length * direction
        stop = (curvature <= 0) | (inner(ahead, scale * ahead) >= radius**2)
        length = jnp.where(stop, to_boundary(x, direction), length)
        x, residual = x + length * direction, residual + length * image
        new_slope = inner(residual, residual / scale)
        direction = -residual / scale + (new_slope / slope) * direction
        return x, residual, direction, new_slope, count + 1, stop

    downhill = -gradient / scale
    begin = (jnp.zeros_like(gradient), gradient, downhill, -inner(gradient, downhill), 0, jnp.asarray(False))
    x, residual, *_ = jax.lax.while_loop(going, descend, begin)
    return ModelStep(x, 0.5 * (inner(gradient, x) + inner(residual, x)), jnp.sqrt(inner(x, scale * x)))
