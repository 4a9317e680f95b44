"""The difference of two functionals, itself a functional: what distillation makes small.

One-electron and Coulomb energies are the same for student and teacher: they cancel, also in every derivative.
"""

from dataclasses import dataclass

import jax

from jqc.typing import Array, Float
from jqc.xc.base import Density, Functional, Ingredients, Quadrature
from jqc.xc.quadrature import ROWS


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Difference:
    """E_student − E_teacher."""

    student: Functional
    teacher: Functional

    @property
    def ingredients(self) -> Ingredients:
        """What either of them reads."""
        both: tuple[Ingredients, Ingredients] = (self.student.ingredients, self.teacher.ingredients)
        return max(both, key=list(ROWS).index)

    @property
    def exchange(self) -> tuple[tuple[float, float], ...]:
        """Exact exchange of the student less that of the teacher, without ranges that cancel."""
        shares = dict(self.student.exchange)
        for omega, coefficient in self.teacher.exchange:
            shares[omega] = shares.get(omega, 0.0) - coefficient
        return tuple((omega, share) for omega, share in sorted(shares.items()) if share)

    @property
    def local(self) -> bool:
        """Whether both are sums over points."""
        return self.student.local and self.teacher.local

    def energy(self, density: Density, quadrature: Quadrature) -> Float[Array, ""]:
        """Difference of the energies without exact exchange."""
        return self.student.energy(density, quadrature) - self.teacher.energy(density, quadrature)
