"""What self-consistency would change the student's energy by, to second order, made small at the teacher's solution.

Kirkpatrick et al., Science 374, 1385 (2021), doi:10.1126/science.abj6511, train DM21 so. Around the solution C the
student's energy is E + Σ g X + ½ Σ D X² + O(X³) if its kernel is neglected: g = 2n F_vo is its orbital gradient,
D_ai = 2n(ε_a − ε_i) with the teacher's orbital energies. The minimum at X = −g/D lies

    δE = −½ Σ g_ai²/D_ai = −n Σ F_ai²/(ε_a − ε_i)

above E, which is negative: second-order perturbation theory with n electrons in every orbital (g = 4F_vo and
−2 Σ F_ai²/(ε_a − ε_i) if restricted). DI-Loss has −2δE itself in place of its square.
"""

from dataclasses import dataclass
from typing import ClassVar

from jqc.distill.example import Example
from jqc.distill.losses.terms import (
    ENERGY_SCALE,
    Terms,
    at_solution,
    check,
    energy_term,
    evaluated,
    second_order,
    weighted,
)
from jqc.typing import Array, Float
from jqc.xc.base import Functional


@dataclass(frozen=True)
class PerturbativeLoss:
    """Weights of the energy and of its change by self-consistency, at the teacher's solution.

    Parameters
    ----------
    energy
        `energy_term` of ΔE per electron, in hartree.
    perturbative
        δE² per electron over `ENERGY_SCALE`, in hartree.

    Raises
    ------
    InputError
        Weights that mean nothing.
    """

    energy: float = 1.0
    perturbative: float = 1.0
    needs_integrals: ClassVar[bool] = False

    def __post_init__(self):
        check(self, ("energy", "perturbative"))

    def __call__(
        self, student: Functional, teacher: Functional, example: Example, key: Array
    ) -> tuple[Float[Array, ""], Terms]:
        """Loss of one example, and its terms without their weights; nothing is random."""
        found = at_solution(student, teacher, evaluated(example))
        terms = {
            "energy": lambda: energy_term(found.energies[0]),
            "perturbative": lambda: second_order(example, found.gradients[0]) ** 2 / ENERGY_SCALE,
        }
        return weighted(self, example, terms)
