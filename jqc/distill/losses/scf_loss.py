"""Energy and density of the student's own SCF against the teacher's, differentiated through the fixed point.

    L = w_E ΔE² + w_ρ ∫(ρ_θ − ρ*)²,     ΔE = E_θ[P_θ] − E*[P*] = (E_θ[P_θ] − E_θ[P*]) + (E_θ − E*)[P*]

The second difference comes from the labels, so that the teacher is never evaluated with integrals. The solution P_θ is
found by trust-region Newton from the teacher's density, without derivatives; those come from the implicit function
theorem at its end (`jqc.scf.implicit`), not from the iterations. The Coulomb term does not cancel here: in single
precision water's energy is wrong by 2e-5 hartree and its orbital gradient by as much, too rough for Newton to converge.
So all is computed in double precision and handed back in the example's.

A student that does not converge within `NEWTON_STEPS` has no solution to be compared. Its example counts with what is
known without one: energies at the teacher's density, and the density of one diagonalisation, both of DI-Loss. That is
finite, and its gradient leads to where the teacher's density is stationary. `unsolved` counts such examples.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import jax
import jax.numpy as jnp

from jqc.distill.example import Example
from jqc.distill.losses.terms import Terms, at_solution, check, energy_term, evaluated, weighted
from jqc.distill.residuals import density_error
from jqc.numerics import require_double_precision
from jqc.scf.energy import energy_parts
from jqc.scf.grassmann import Point
from jqc.scf.implicit import relaxed_dm
from jqc.scf.minimise import begin, descend
from jqc.scf.step import SCFSettings
from jqc.system import System
from jqc.typing import Array, Bool, Float
from jqc.xc.base import Functional
from jqc.xc.quadrature import features, quadrature

NEWTON_STEPS = 12
"""Newton steps; from B3LYP's density of water other functionals take three to five."""

THRESHOLDS = SCFSettings(energy_tolerance=1e-6, residual_tolerance=1e-6)
"""Converged steps square the residual; what is left of it is a relative error of the loss's gradient."""


@dataclass(frozen=True)
class SCFLoss:
    """Weights of energy and density of the student's solution.

    Parameters
    ----------
    energy
        `energy_term` of ΔE per electron, in hartree.
    density
        ∫(ρ_θ − ρ*)² per electron, in 1/bohr³.

    Raises
    ------
    InputError
        Weights that mean nothing.
    """

    energy: float = 1.0
    density: float = 1.0
    needs_integrals: ClassVar[bool] = True

    def __post_init__(self):
        check(self, ("energy", "density"))

    def __call__(
        self, student: Functional, teacher: Functional, example: Example, key: Array
    ) -> tuple[Float[Array, ""], Terms]:
        """Loss of one example, its terms without their weights, and 1 as `unsolved` if the SCF fails.

        Raises
        ------
        InputError
            The example holds no integrals.
        PrecisionError
            Double precision is off.
        """
        require_double_precision()
        dtype = example.tangents.dtype
        example = evaluated(_in_double(example))
        system = example.system
        at = _orthonormal(system, jax.tree.map(lambda frames: frames[0], example.points))
        example = replace(example, points=jax.tree.map(lambda frames: frames[None], at))
        energy, density, unsolved = _errors(student, teacher, system, at, example)
        loss, terms = weighted(self, example, {"energy": lambda: energy_term(energy), "density": lambda: density})
        return loss.astype(dtype), {name: term.astype(dtype) for name, term in (terms | {"unsolved": unsolved}).items()}


def _errors(
    student: Functional, teacher: Functional, system: System, at: Point, example: Example
) -> tuple[Float[Array, ""], Float[Array, ""], Bool[Array, ""]]:
    """ΔE in hartree, ∫(ρ_θ − ρ*)², and whether they are estimates for want of a solution."""
    found = at_solution(student, teacher, example)

    def self_consistent():
        dm = relaxed_dm(student, system, solution.at, order=1)
        total = lambda dm: energy_parts(student, system, dm).total  # noqa: E731
        change = features(system, dm - at.dm, "rho")[:, 0].sum(0)
        return total(dm) - total(at.dm) + found.energies[0], jnp.sum(change**2 * quadrature(system).weights)

    def estimated():
        return found.energies[0], density_error(example, found.gradients[0])

    # A branch that is not taken is not differentiated either, so that no NaN of a failed SCF reaches the gradient.
    solution = _solve(*jax.lax.stop_gradient((student, system, at)))
    return *jax.lax.cond(solution.converged, self_consistent, estimated), ~solution.converged


def _solve(student: Functional, system: System, at: Point):
    """Newton from a point, as far as it takes or `NEWTON_STEPS`."""
    state = begin(student, system, at, "newton")
    return descend(student, system, state, THRESHOLDS, jnp.asarray(NEWTON_STEPS), "newton")


def _in_double(example: Example) -> Example:
    wide = lambda leaf: leaf.astype(jnp.float64) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf  # noqa: E731
    return jax.tree.map(wide, example)


def _orthonormal(system: System, at: Point) -> Point:
    """Frames C (3 − CᵀSC)/2: one Newton–Schulz step takes rounding of 1e-7 to its square."""
    occ = at.occupied.shape[-1]
    both = jnp.concatenate([at.occupied, at.virtual], axis=-1)
    turned = 1.5 * both - 0.5 * both @ (jnp.swapaxes(both, -1, -2) @ system.overlap @ both)
    return Point(turned[..., :occ], turned[..., occ:])
