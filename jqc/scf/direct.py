"""Direct minimisation on the Grassmannian: preconditioned L-BFGS with a line search, one Fock matrix a step.

Van Voorhis & Head-Gordon, Mol. Phys. 100, 1713 (2002), doi:10.1080/00268970110103642. The retraction carries both
frames along, so that steps and gradients of earlier points are compared by their coordinates (an isometric transport,
Huang, Gallivan & Absil, SIAM J. Optim. 25, 1660 (2015), doi:10.1137/140955483).
"""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp

from jqc.scf.canonical import canonical, diagonal_preconditioner
from jqc.scf.descent import Descent
from jqc.scf.grassmann import Point, Tangent, inner, reference_at, retract
from jqc.scf.step import SCFSettings
from jqc.system import System
from jqc.typing import Array, Float
from jqc.xc.base import Functional

MEMORY = 10
"""Steps that are remembered."""

LONGEST_STEP = 0.5
"""Largest rotation ‖X‖ of a step, in radians."""

DECREASE, MOST_HALVINGS = 1e-4, 8
"""Share of the slope that a step must gain, and trials of shorter steps."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class DirectState(Descent):
    """A descent with its last steps and gradient changes, newest first."""

    steps: Float[Array, "slot spin virt occ"]
    changes: Float[Array, "slot spin virt occ"]


def start(functional: Functional, system: System, at: Point) -> DirectState:
    """State of a point in canonical frames, with nothing to remember."""
    held = reference_at(functional, system, at)
    empty = jnp.zeros((MEMORY, at.virtual.shape[0], at.virtual.shape[-1], at.occupied.shape[-1]))
    return DirectState.begin(canonical(at, held.fock)[0], held, steps=empty, changes=empty)


def step(functional: Functional, system: System, state: DirectState, settings: SCFSettings) -> DirectState:
    """Quasi-Newton direction, shortened until the energy falls."""
    gradient = state.gradient
    scale = diagonal_preconditioner(state.at, state.held.fock)
    direction = -inverse_hessian(state, gradient, scale)
    direction = jnp.where(inner(direction, gradient) < 0, direction, -gradient / scale)
    size = jnp.sqrt(inner(direction, direction))
    direction = direction * jnp.minimum(1.0, LONGEST_STEP / jnp.maximum(size, 1e-300))
    end, held, length = _line_search(functional, system, state, direction, inner(gradient, direction))
    change = held.energy - state.energy
    new = replace(state, at=end, held=held, energy_change=change, iteration=state.iteration + 1)
    difference = new.gradient - gradient
    curved = inner(length * direction, difference) > 0
    remember = lambda old, latest: jnp.where(curved, jnp.roll(old, 1, axis=0).at[0].set(latest), old)  # noqa: E731
    return replace(
        new,
        steps=remember(state.steps, length * direction),
        changes=remember(state.changes, difference),
        converged=settings.met_by(change, new.residual),
    )


def inverse_hessian(state: DirectState, gradient: Tangent, scale: Tangent) -> Tangent:
    """L-BFGS two-loop recursion; slots without a step count nothing.

    Nocedal & Wright, *Numerical Optimization* (2006), algorithm 7.4.
    """
    products = jax.vmap(inner)(state.steps, state.changes)
    rho = jnp.where(products > 0, 1 / jnp.where(products > 0, products, 1.0), 0.0)

    def backward(q, slot):
        s, y, r = slot
        alpha = r * inner(s, q)
        return q - alpha * y, alpha

    q, alphas = jax.lax.scan(backward, gradient, (state.steps, state.changes, rho))

    def forward(z, slot):
        s, y, r, alpha = slot
        return z + s * (alpha - r * inner(y, z)), None

    return jax.lax.scan(forward, q / scale, (state.steps, state.changes, rho, alphas), reverse=True)[0]


def _line_search(functional, system, state, direction, slope):
    """First of the lengths 1, ½, ¼, … that gains enough; the shortest one if none does."""

    def trial(length):
        end = retract(state.at, length * direction)
        return end, reference_at(functional, system, end), length

    def too_long(carry):
        (_, held, length), count = carry
        gained = held.energy <= state.held.energy + DECREASE * length * slope + 1e-10
        return ~gained & (count < MOST_HALVINGS)

    def halve(carry):
        (_, _, length), count = carry
        return trial(0.5 * length), count + 1

    return jax.lax.while_loop(too_long, halve, (trial(jnp.ones(())), 0))[0]
