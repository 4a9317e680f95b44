"""How orbitals answer: the operators A + B and A − B of linear response around a converged SCF.

A + B is the orbital Hessian of the energy, H/4 restricted and H/2 for each spin, so that the kernel is whatever the
functional's derivative is; A − B holds orbital energies and the antisymmetric exchange response,
−c K[C_v x C_oᵀ − C_o xᵀ C_vᵀ]. Vectors are tangents at the solution, (spin, virt, occ), ravelled on the host.
"""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from jqc.errors import InputError
from jqc.krylov import solve_paired
from jqc.process import single_threaded_blas
from jqc.scf.canonical import canonical_reference, lift_absent
from jqc.scf.grassmann import Point, hvp_from, point
from jqc.scf.kernel import Reference, keep_kernel
from jqc.scf.repulsion import exchange_on_pair, exchange_operator
from jqc.scf.result import SCFResult
from jqc.system import System, keep_orbitals
from jqc.typing import Array, Float
from jqc.xc.base import Functional

FRACTIONAL = 1e-8
"""Distance of an occupation from a whole number that counts."""


@dataclass(frozen=True)
class OrbitalResponse:
    """A + B and A − B around a solution, with canonical frames `at` and orbital energy differences `gaps`."""

    functional: Functional
    system: System
    at: Point
    held: Reference
    gaps: np.ndarray

    @classmethod
    def around(cls, result: SCFResult, triplet: bool = False) -> "OrbitalResponse":
        """Operators around a converged result.

        Raises:
            ConvergenceError: it is not converged.
            InputError: it has fractional occupations, or triplets of an unrestricted result are asked for.
        """
        result.check()
        if triplet and result.mo_coeff.ndim != 2:
            raise InputError("triplet=True needs a restricted result; unrestricted states mix multiplicities.")
        occupations = result.by_spin[2]
        if np.abs(occupations - np.round(occupations)).max() > FRACTIONAL:
            raise InputError("the response of fractional occupations is not known here; run the SCF without smearing.")
        system = keep_orbitals(result.system)
        at, held, gaps = canonical_reference(result.functional, system, point(system, result.mo_coeff))
        held = jax.jit(keep_kernel)(result.functional, system, replace(held, triplet=triplet))
        return cls(result.functional, system, at, held, np.asarray(gaps))

    def plus(self, block: np.ndarray) -> np.ndarray:
        """(A + B) times rows."""
        return self._apply(_plus, block)

    def minus(self, block: np.ndarray) -> np.ndarray:
        """(A − B) times rows."""
        return self._apply(_minus, block)

    def _apply(self, side, block: np.ndarray) -> np.ndarray:
        tangents = jnp.asarray(block.reshape(-1, *self.gaps.shape))
        images = side(self.functional, self.system, self.at, self.held, jnp.asarray(self.gaps), tangents)
        return np.asarray(images).reshape(block.shape)

    def mixed(self, operators: Float[Array, "row ao ao"]) -> np.ndarray:
        """C_vᵀ V C_o of one-electron operators in atomic orbitals, (row, spin, virt, occ)."""
        frames = (self.at.virtual, operators, self.at.occupied)
        return np.einsum("sma,xmn,sni->xsai", *map(np.asarray, frames), optimize=True)

    def answer(self, right: np.ndarray, frequency: float = 0.0, tolerance: float = 1e-7) -> np.ndarray:
        """The sum p = X + Y of (A + B) p − ω m = −b, (A − B) m = ω p for the rows b (row, spin, virt, occ).

        To first order the density matrix changes by n (C_v p C_oᵀ + C_o pᵀ C_vᵀ), n electrons per orbital.
        """
        rows = right.reshape(len(right), -1)
        with single_threaded_blas():
            p, _ = solve_paired(self.plus, self.minus, self.gaps.ravel(), -rows, frequency, tolerance)
        return p.reshape(right.shape)


@jax.jit
def _plus(functional, system, at, held, gaps, xs: Float[Array, "block spin virt occ"]):
    """(A + B) x; absent orbitals keep a large value."""
    scale = 1 / (2 * at.electrons_per_orbital)
    products = jax.vmap(lambda x: scale * hvp_from(functional, system, at, held, x))(xs)
    return products + lift_absent(gaps, xs)


@jax.jit
def _minus(functional, system, at, held, gaps, xs: Float[Array, "block spin virt occ"]):
    """(A − B) x, the same for singlets and triplets."""

    def product(x):
        image = gaps * x
        for omega, coefficient in functional.exchange:
            operator = exchange_operator(system, omega)
            pairs = zip(at.virtual @ x, at.occupied, strict=True)
            anti = jnp.stack([exchange_on_pair(left, right, operator, sign=-1) for left, right in pairs])
            image = image - coefficient * jnp.swapaxes(at.virtual, -1, -2) @ anti
        return image

    return jax.vmap(product)(xs)
