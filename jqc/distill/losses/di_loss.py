"""DI-Loss: four terms that a student's energy, density, gradient and Hessian add to what training makes small.

Eberhard, Thiede, Aldossary et al., arXiv 2606.04279. All are taken at labelled densities, so that nothing is
differentiated through an SCF; each is per electron and squared, in the units that the energy's own second-order
expansion suggests: with D = 2n(ε_a − ε_i) the energy that a gradient g costs is ½ Σ g²/D, and a Hessian H is compared
with D as D^(−½) H D^(−½).
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from jqc.distill.difference import Difference
from jqc.distill.example import Example
from jqc.distill.losses.terms import Terms, check, energy_term, evaluated, second_order, weighted
from jqc.distill.residuals import density_error, residuals
from jqc.typing import Array, Float
from jqc.xc.base import Functional


@dataclass(frozen=True)
class DILoss:
    """Weights of the four terms, and where they act.

    Parameters
    ----------
    energy
        `energy_term` of ΔE per electron, in hartree, at the solution.
    density
        ∫(δρ)² per electron of the density that one diagonalisation makes of the solution.
    gradient
        Σ g²/D per electron, in hartree.
    hessian
        Σ (Hess[X])²/D over Σ D X², without unit, a mean over `tangents`. At the default a trained student's term weighs
        as much as those in hartree; at 1 it weighs six times as much as the energy's, and densities pay.
    displaced
        Weight of the gradient at a displaced density, relative to that at the solution; which one is drawn anew at
        every step.
    tangents
        Random combinations of the labelled tangents along which the Hessian is taken at every step. As many as are
        labelled, or more, mean each labelled one: the whole Hessian, where every rotation of a small system is.
    triplets
        Whether spins of a closed shell change oppositely as well: along each tangent with a probability of one half, or
        along each labelled one a second time.
    relaxed
        Whether ΔE is that of the student's own self-consistent density, to second order: ΔE − ½ Σ g²/D.
    """

    energy: float = 1.0
    density: float = 1.0
    gradient: float = 1.0
    hessian: float = 0.05
    displaced: float = 1.0
    tangents: int = 1
    triplets: bool = True
    relaxed: bool = False
    needs_integrals: ClassVar[bool] = False

    def __post_init__(self):
        check(self, ("energy", "density", "gradient", "hessian"))

    def __call__(
        self, student: Functional, teacher: Functional, example: Example, key: Array
    ) -> tuple[Float[Array, ""], Terms]:
        """Loss of one example, and its terms without their weights; a term of weight zero is not computed."""
        on_density, on_directions = jax.random.split(key)
        example = self._densities(evaluated(example), on_density)
        chosen, signs = self._directions(example, on_directions)
        found = residuals(Difference(student, teacher), example, chosen, signs)

        def energy():
            relaxation = second_order(example, found.gradients[0]) if self.relaxed else 0.0
            return energy_term(found.energies[0] + relaxation)

        def gradient():
            slopes = jnp.sum(example.inverse_curvature * found.gradients**2, axis=(1, 2, 3))
            return slopes[0] + self.displaced * slopes[1:].sum()

        def hessian():
            x = jnp.tensordot(chosen, example.tangents, axes=1)
            errors = jnp.sum(example.inverse_curvature * found.products**2, axis=(1, 2, 3))
            sizes = jnp.sum(example.curvature * x**2, axis=(1, 2, 3))
            exists = sizes > 0  # a molecule without rotations has no Hessian
            return jnp.mean(jnp.where(exists, errors / jnp.where(exists, sizes, 1.0), 0.0)) * example.n_electrons

        terms = {
            "energy": energy,
            "density": lambda: density_error(example, found.gradients[0]),
            "gradient": gradient,
            "hessian": hessian,
        }
        return weighted(self, example, terms)

    def _densities(self, example: Example, key: Array) -> Example:
        """The example at its solution, and at one of its displaced densities if that is asked for."""
        last = len(example.points.occupied) - 1
        if not (self.gradient and self.displaced and last):
            return example.at(jnp.array([0]))
        return example.at(jnp.array([0, jax.random.randint(key, (), 1, last + 1)]))

    def _directions(
        self, example: Example, key: Array
    ) -> tuple[Float[Array, "chosen tangent"], Float[Array, "chosen"]]:
        """Unit combinations of the tangents, and the signs of their spins."""
        count, (labelled, spins), dtype = self.tangents, example.tangents.shape[:2], example.tangents.dtype
        if not self.hessian:
            return jnp.zeros((0, labelled), dtype), jnp.zeros(0, dtype)
        if count >= labelled:
            signs = jnp.array([1.0, -1.0] if self.triplets and spins == 1 else [1.0], dtype)
            return jnp.tile(jnp.eye(labelled, dtype=dtype), (len(signs), 1)), jnp.repeat(signs, labelled)
        on_tangents, on_signs = jax.random.split(key)
        chosen = jax.random.normal(on_tangents, (count, labelled), dtype)
        chosen = chosen / jnp.linalg.norm(chosen, axis=1, keepdims=True)
        signs = jax.random.rademacher(on_signs, (count,), dtype)
        return chosen, signs if self.triplets else jnp.ones_like(signs)
