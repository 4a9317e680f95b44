"""The commutator of the student's Fock matrix with the teacher's density: how far that density is from stationary.

With P = C_o C_oᵀ, n electrons in every orbital (2 restricted, 1 for each spin) and the orbital gradient g = 2n F_vo,

    ‖[F, nP]‖² = 2n² Σ F_ai² = ½ Σ g_ai²

in an orthonormal basis. It is zero where the teacher's density solves the student's equations. The norm is what DIIS
makes small, and what SAIL trains initial densities with along an SCF (Eberhard, Kotsev, Güthle & Günnemann,
arXiv 2604.21657); here it is taken once, at the teacher's solution, as a loss of the functional. DI-Loss has the same
gradient in the metric of the orbitals' curvature, Σ g²/D with D_ai = 2n(ε_a − ε_i): an energy, which counts rotations
among close orbitals more and those of core orbitals less.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp

from jqc.distill.example import Example
from jqc.distill.losses.terms import Terms, at_solution, check, energy_term, evaluated, weighted
from jqc.typing import Array, Float
from jqc.xc.base import Functional


@dataclass(frozen=True)
class CommutatorLoss:
    """Weights of energy and commutator at the teacher's solution.

    Parameters
    ----------
    energy
        `energy_term` of ΔE per electron, in hartree.
    commutator
        ‖[F, nP]‖² = ½ Σ g² per electron, in hartree²; its weight is in 1/hartree.

    Raises
    ------
    InputError
        Weights that mean nothing.
    """

    energy: float = 1.0
    commutator: float = 1.0
    needs_integrals: ClassVar[bool] = False

    def __post_init__(self):
        check(self, ("energy", "commutator"))

    def __call__(
        self, student: Functional, teacher: Functional, example: Example, key: Array
    ) -> tuple[Float[Array, ""], Terms]:
        """Loss of one example, and its terms without their weights; nothing is random."""
        found = at_solution(student, teacher, evaluated(example))
        terms = {
            "energy": lambda: energy_term(found.energies[0]),
            "commutator": lambda: 0.5 * jnp.sum(found.gradients[0] ** 2),
        }
        return weighted(self, example, terms)
