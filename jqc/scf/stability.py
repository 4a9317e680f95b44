"""Is a stationary density a minimum? The lowest eigenvalue of the orbital Hessian, and the way down if it is negative.

Seeger & Pople, J. Chem. Phys. 66, 3045 (1977), doi:10.1063/1.434318.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jqc.davidson import lowest
from jqc.process import single_threaded_blas
from jqc.scf.canonical import canonical_reference, lift_absent
from jqc.scf.grassmann import Point, Tangent, exponential, hvp_from, point
from jqc.scf.kernel import Reference, keep_kernel
from jqc.scf.result import SCFResult
from jqc.scf.solve import scf
from jqc.scf.step import SCFSettings
from jqc.system import System, keep_orbitals
from jqc.typing import Array, Float
from jqc.xc.base import Functional

UNSTABLE = -1e-5
"""Hessian eigenvalues below this, in hartree, count as negative; rotations of a symmetric molecule have zero."""


@dataclass(frozen=True)
class Stability:
    """Lowest eigenvalue of the orbital Hessian in hartree, and its eigenvector as a tangent at `at`."""

    eigenvalue: float
    direction: Tangent
    at: Point

    @property
    def stable(self) -> bool:
        """Whether the density is a minimum of its kind."""
        return self.eigenvalue > UNSTABLE


def stability(result: SCFResult, spin_resolved: bool = False, tolerance: float = 1e-5) -> Stability:
    """Internal stability of a converged SCF.

    Parameters
    ----------
    result
        A converged result.
    spin_resolved
        Let the spins of a restricted result part, which asks for its stability among unrestricted densities.
    tolerance
        Residual of the eigenvector.

    Raises
    ------
    ConvergenceError
        The result is not converged.

    >>> import jax; jax.config.update("jax_enable_x64", True)
    >>> import jqc
    >>> helium = jqc.build_system(jqc.Molecule.from_arrays(["He"], [[0.0, 0.0, 0.0]]))
    >>> stability(jqc.scf(helium, "pbe")).stable
    True
    """
    result.check()
    both = spin_resolved and result.mo_coeff.ndim == 2
    system = keep_orbitals(result.system)
    at, held, differences = canonical_reference(result.functional, system, point(system, result.mo_coeff, both))
    held = jax.jit(keep_kernel)(result.functional, system, held)
    shape = differences.shape

    def product(block: np.ndarray) -> np.ndarray:
        xs = block.reshape(-1, *shape)
        return np.asarray(_products(result.functional, system, at, held, differences, xs)).reshape(block.shape)

    diagonal = 2 * at.electrons_per_orbital * np.asarray(differences).ravel()
    with single_threaded_blas():
        found = lowest(product, diagonal, roots=1, tolerance=tolerance)
    return Stability(float(found.values[0]), jnp.asarray(found.vectors[0].reshape(shape)), at)


def follow(
    result: SCFResult,
    unstable: Stability,
    angle: float = 0.3,
    settings: SCFSettings = SCFSettings(),  # noqa: B008 - frozen
) -> SCFResult:
    """Go down along an instability, by a rotation of `angle` radians and Newton steps from there."""
    moved = exponential(unstable.at, angle * unstable.direction)
    n_ao = int(result.system.n_ao)
    dm = moved.dm[:, :n_ao, :n_ao]
    guess = np.asarray(dm[0] if len(dm) == 1 else dm)
    return scf(result.system, result.functional, guess, solver="newton", restricted=len(dm) == 1, settings=settings)


@jax.jit
def _products(
    functional: Functional,
    system: System,
    at: Point,
    held: Reference,
    differences: Tangent,
    xs: Float[Array, "block spin virt occ"],
) -> Float[Array, "block spin virt occ"]:
    """Hessian times a block of tangents."""
    return jax.vmap(partial(hvp_from, functional, system, at, held))(xs) + lift_absent(differences, xs)
