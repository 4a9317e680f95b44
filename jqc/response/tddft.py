"""Excitation energies by time-dependent Kohn–Sham theory in the adiabatic approximation.

    (A + B)(X + Y) = ω (X − Y),     (A − B)(X − Y) = ω (X + Y)

(Casida 1995, doi:10.1142/9789812830586_0005). A + B is the orbital Hessian of the energy, H/4 restricted and H/2 for
each spin, so that the kernel is whatever the functional's derivative is; A − B holds orbital energies and the
antisymmetric exchange response, −c K[C_v x C_oᵀ − C_o xᵀ C_vᵀ]. Tamm–Dancoff solves A X = ω X (Hirata & Head-Gordon,
Chem. Phys. Lett. 314, 291 (1999), doi:10.1016/S0009-2614(99)01149-5).
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jqc.davidson import lowest, lowest_paired
from jqc.errors import ConvergenceError, InputError
from jqc.process import single_threaded_blas
from jqc.scf.canonical import canonical_reference, lift_absent
from jqc.scf.energy import exchange_of_pair, range_factor
from jqc.scf.grassmann import Point, blocks, hvp_from, point, spin_tangent
from jqc.scf.kernel import Reference
from jqc.scf.occupation import ABSENT
from jqc.scf.result import SCFResult
from jqc.system import System, keep_orbitals
from jqc.typing import Array, Float
from jqc.xc.base import Functional


@dataclass(frozen=True)
class Excitations:
    """Excited states in rising order; amplitudes are tangents at `at`, (state, spin, virt, occ), ⟨X+Y|X−Y⟩ = 1."""

    energies: np.ndarray
    transition_dipoles: np.ndarray
    multiplicity: str
    x_plus_y: np.ndarray
    x_minus_y: np.ndarray
    at: Point

    @property
    def oscillator_strengths(self) -> np.ndarray:
        """Oscillator strengths ⅔ ω |⟨0|r|n⟩|², length gauge."""
        return 2 / 3 * self.energies * np.sum(self.transition_dipoles**2, axis=1)

    def natural_orbitals(self, state: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights, and hole and particle orbitals as columns, of each spin, from X of a state.

        Martin, J. Chem. Phys. 118, 4775 (2003), doi:10.1063/1.1558471.
        """
        x = 0.5 * (self.x_plus_y[state] + self.x_minus_y[state])
        particles, sizes, holes = np.linalg.svd(x, full_matrices=False)
        occupied, virtual = np.asarray(self.at.occupied), np.asarray(self.at.virtual)
        return sizes**2, occupied @ np.swapaxes(holes, -1, -2), virtual @ particles


def excitations(
    result: SCFResult, states: int = 10, *, tda: bool = False, triplet: bool = False, tolerance: float = 1e-5
) -> Excitations:
    """Lowest excited states of a converged SCF.

    Parameters
    ----------
    result
        A restricted or unrestricted result.
    states
        How many.
    tda
        Tamm–Dancoff approximation.
    triplet
        Triplets instead of singlets of a restricted result.
    tolerance
        Residual of the amplitudes.

    Raises
    ------
    ConvergenceError
        The SCF or the amplitudes are not converged.
    InputError
        More states than amplitudes, or triplets of an unrestricted result.
    InstabilityError
        The reference is no minimum.

    >>> import jax; jax.config.update("jax_enable_x64", True)
    >>> import jqc
    >>> helium = jqc.build_system(jqc.Molecule.from_arrays(["He"], [[0.0, 0.0, 0.0]]))
    >>> found = excitations(jqc.scf(helium, "pbe"), states=1)
    >>> bool(found.energies[0] > 1.0)
    True
    """
    result.check()
    restricted = result.mo_coeff.ndim == 2
    if triplet and not restricted:
        raise InputError("triplet=True needs a restricted result; unrestricted states mix multiplicities.")
    system = keep_orbitals(result.system)
    at, held, gaps = canonical_reference(result.functional, system, point(system, result.mo_coeff))
    available = int((np.asarray(gaps) < ABSENT / 2).sum())
    if not 1 <= states <= available:
        raise InputError(f"{states} states were asked for; this basis has 1 to {available}.")
    problem = _Problem(result.functional, system, at, held, np.asarray(gaps), triplet)
    with single_threaded_blas():
        energies, plus, minus = problem.solve(states, tda, tolerance)
    dipoles = problem.transition_dipoles(plus)
    multiplicity = ("triplet" if triplet else "singlet") if restricted else "unrestricted"
    return Excitations(energies, dipoles, multiplicity, plus, minus, at)


@dataclass(frozen=True)
class _Problem:
    """A + B and A − B over vectors on the host."""

    functional: Functional
    system: System
    at: Point
    held: Reference
    gaps: np.ndarray
    triplet: bool

    def solve(self, states: int, tda: bool, tolerance: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """ω, X + Y and X − Y."""
        diagonal = self.gaps.ravel()
        if tda:
            both = lambda block: 0.5 * (self._apply(_plus, block) + self._apply(_minus, block))  # noqa: E731
            found = lowest(both, diagonal, states, tolerance)
            partners = found.vectors
        else:
            sides = partial(self._apply, _plus), partial(self._apply, _minus)
            found = lowest_paired(*sides, diagonal, states, tolerance)
            partners = found.partners
        if not found.converged:
            raise ConvergenceError(
                f"excited states stopped at a residual of {found.residuals.max():.1e}; ask for other states or raise "
                "the tolerance."
            )
        shape = (states, *self.gaps.shape)
        return found.values, found.vectors.reshape(shape), partners.reshape(shape)

    def _apply(self, side, block: np.ndarray) -> np.ndarray:
        tangents = jnp.asarray(block.reshape(-1, *self.gaps.shape))
        images = side(self.functional, self.system, self.at, self.held, jnp.asarray(self.gaps), tangents, self.triplet)
        return np.asarray(images).reshape(block.shape)

    def transition_dipoles(self, plus: np.ndarray) -> np.ndarray:
        """⟨0|r|n⟩ in e·bohr up to sign, (state, 3); zero for triplets."""
        if self.triplet:
            return np.zeros((len(plus), 3))
        frames = (self.at.virtual, self.system.dipole, self.at.occupied)
        moments = np.einsum("sma,xmn,sni->xsai", *map(np.asarray, frames))
        return np.sqrt(self.at.electrons_per_orbital) * np.einsum("xsai,nsai->nx", moments, plus)


@partial(jax.jit, static_argnames="triplet")
def _plus(functional, system, at, held, gaps, xs: Float[Array, "block spin virt occ"], triplet: bool):
    """(A + B) x; absent orbitals keep a large value."""
    apart = Point(*(jnp.concatenate([frame, frame]) for frame in (at.occupied, at.virtual))) if triplet else at
    focks = jnp.concatenate([held.fock, held.fock]) if triplet else held.fock
    u = 0.5 * jnp.concatenate([held.u, held.u]) if triplet else held.u
    around = Reference(held.parts, focks, u)

    def product(x):
        if not triplet:
            return hvp_from(functional, system, at, around, x) / (2 * at.electrons_per_orbital)
        return hvp_from(functional, system, apart, around, spin_tangent(x, -1))[:1] / 2

    return jax.lax.map(product, xs) + lift_absent(gaps, xs)


@partial(jax.jit, static_argnames="triplet")
def _minus(functional, system, at, held, gaps, xs: Float[Array, "block spin virt occ"], triplet: bool):
    """(A − B) x, the same for singlets and triplets."""

    def product(x):
        image = gaps * x
        for omega, coefficient in functional.exchange:
            factor = range_factor(system, omega)
            pairs = zip(at.virtual @ x, at.occupied, strict=True)
            anti = jnp.stack([exchange_of_pair(left, right, factor, sign=-1) for left, right in pairs])
            image = image - coefficient * blocks(at, anti)[1]
        return image

    return jax.lax.map(product, xs)
