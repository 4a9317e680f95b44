"""Excitation energies by time-dependent Kohn–Sham theory in the adiabatic approximation.

    (A + B)(X + Y) = ω (X − Y),     (A − B)(X − Y) = ω (X + Y)

(Casida 1995, doi:10.1142/9789812830586_0005); Tamm–Dancoff solves A X = ω X (Hirata & Head-Gordon, Chem. Phys. Lett.
314, 291 (1999), doi:10.1016/S0009-2614(99)01149-5). The operators are those of `jqc.response.operators`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jqc.davidson import Eigenpairs, lowest, lowest_paired
from jqc.errors import ConvergenceError, InputError
from jqc.process import single_threaded_blas
from jqc.response.operators import OrbitalResponse
from jqc.scf.grassmann import Point, absent
from jqc.scf.occupation import ABSENT
from jqc.scf.result import SCFResult


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

    def leading_pairs(self, state: int, least: float = 0.1) -> list["OrbitalPair"]:
        """Pairs of canonical orbitals with at least this weight in a state, the heaviest first and at least one."""
        weights = self.x_plus_y[state] * self.x_minus_y[state]  # X² − Y² of a pair; they add up to one
        order = np.argsort(-weights, axis=None)
        count = max(1, int((weights >= least).sum()))
        places = [np.unravel_index(place, weights.shape) for place in order[:count]]
        homo = np.asarray(~absent(self.at.occupied)).sum(axis=1) - 1
        return [OrbitalPair(int(s), int(homo[s] - i), int(a), float(weights[s, a, i])) for s, a, i in places]


class OrbitalPair(NamedTuple):
    """One electron's way: the spin row, steps below the highest occupied and above the lowest empty orbital, weight."""

    spin: int
    below: int
    above: int
    weight: float


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
    restricted = result.mo_coeff.ndim == 2
    response = OrbitalResponse.around(result, triplet)
    available = int((response.gaps < ABSENT / 2).sum())
    if not 1 <= states <= available:
        raise InputError(f"{states} states were asked for; this basis has 1 to {available}.")
    with single_threaded_blas():
        found, partners = _lowest_states(response, states, tda, tolerance)
    if not found.converged:
        raise ConvergenceError(
            f"excited states stopped at a residual of {found.residuals.max():.1e}; ask for other states or raise "
            "the tolerance."
        )
    plus, minus = (block.reshape(states, *response.gaps.shape) for block in (found.vectors, partners))
    multiplicity = ("triplet" if triplet else "singlet") if restricted else "unrestricted"
    return Excitations(found.values, _transition_dipoles(response, plus), multiplicity, plus, minus, response.at)


def _lowest_states(
    response: OrbitalResponse, states: int, tda: bool, tolerance: float
) -> tuple[Eigenpairs, np.ndarray]:
    """ω with X + Y as vectors, and X − Y."""
    diagonal = response.gaps.ravel()
    if tda:
        both = lambda block: 0.5 * (response.plus(block) + response.minus(block))  # noqa: E731
        found = lowest(both, diagonal, states, tolerance)
        return found, found.vectors
    found = lowest_paired(response.plus, response.minus, diagonal, states, tolerance)
    return found, found.partners


def _transition_dipoles(response: OrbitalResponse, plus: np.ndarray) -> np.ndarray:
    """⟨0|r|n⟩ in e·bohr up to sign, (state, 3); zero for triplets."""
    if response.held.triplet:
        return np.zeros((len(plus), 3))
    moments = response.mixed(response.system.dipole)
    return np.sqrt(response.at.electrons_per_orbital) * np.einsum("xsai,nsai->nx", moments, plus)
