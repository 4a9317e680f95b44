"""Where a walk downhill on the Grassmannian stands, whichever way it takes."""

from dataclasses import dataclass
from typing import Self

import jax
import jax.numpy as jnp

from jqc.scf.grassmann import Point, Tangent, gradient_from, inner
from jqc.scf.kernel import Reference
from jqc.typing import Array, Bool, Float, Int


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Descent:
    """A point with its energy and Fock matrix, and how the last step went; solvers add what they remember."""

    at: Point
    held: Reference
    energy_change: Float[Array, ""]
    iteration: Int[Array, ""]
    converged: Bool[Array, ""]

    @classmethod
    def begin(cls, at: Point, held: Reference, **memory: Array) -> Self:
        """State before the first step."""
        return cls(at, held, jnp.asarray(jnp.inf), jnp.zeros((), jnp.int32), jnp.asarray(False), **memory)

    @property
    def energy(self) -> Float[Array, ""]:
        """Total energy in hartree."""
        return self.held.energy

    @property
    def gradient(self) -> Tangent:
        """Riemannian gradient of the energy."""
        return gradient_from(self.at, self.held.fock)

    @property
    def residual(self) -> Float[Array, ""]:
        """‖grad E‖/2 = ‖FDS − SDF‖/√2 in an orthonormal basis, as DIIS counts it, for one and two spins."""
        return 0.5 * jnp.sqrt(inner(self.gradient, self.gradient))
