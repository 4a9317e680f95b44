"""Normal modes of a molecule, their infrared and Raman intensities, and the gas that such molecules make.

    A_k = N_A |∂μ/∂Q_k|² / (12 ε₀ c²),     S_k = 45 a′² + 7 γ′²,  a = tr α/3,  γ² = ½ Σ(α_ii − α_jj)² + 3 Σ α_ij²

(Wilson, Decius & Cross, Molecular Vibrations, 1955; Neugebauer, Reiher, Kind & Hess, J. Comput. Chem. 23, 895 (2002),
doi:10.1002/jcc.10089), Q_k mass-weighted, in the double harmonic approximation.
"""

from dataclasses import dataclass

import numpy as np

from jqc.response.displacements import displacements
from jqc.response.forces import forces
from jqc.response.nonlinear import polarizability_slopes
from jqc.response.polarizability import polarizability
from jqc.scf.result import SCFResult
from jqc.system.molecule import Molecule
from jqc.units import AMU, ANGSTROM, IR_INTENSITY, WAVENUMBER

LINEAR = 1e-4
"""A principal moment of inertia below this part of the largest is that of a line."""


@dataclass(frozen=True)
class Vibrations:
    """Normal modes in rising order; an imaginary wavenumber is a negative number.

    `frequencies` cm⁻¹ (mode,), `modes` cartesian displacements of unit length (mode, atom, 3), `reduced_masses` amu,
    `ir_intensities` km/mol, `raman_activities` Å⁴/amu and `depolarization_ratios` (None if not asked for),
    `polarizability` bohr³ (None likewise), `energy` and `largest_force` of the geometry in atomic units.
    """

    molecule: Molecule
    frequencies: np.ndarray
    modes: np.ndarray
    reduced_masses: np.ndarray
    ir_intensities: np.ndarray
    raman_activities: np.ndarray | None
    depolarization_ratios: np.ndarray | None
    polarizability: np.ndarray | None
    hessian: np.ndarray
    energy: float
    largest_force: float

    @property
    def n_imaginary(self) -> int:
        """Modes along which the geometry is a maximum."""
        return int((self.frequencies < 0).sum())

    @property
    def zero_point_energy(self) -> float:
        """½ Σ ħω over real modes, hartree."""
        return 0.5 * float(self.frequencies[self.frequencies > 0].sum()) / WAVENUMBER


def vibrations(result: SCFResult, raman: bool = True) -> Vibrations:
    """Normal modes with infrared intensities and, unless `raman=False`, Raman activities.

    Rotations and translations are projected out, so that 3N − 6 modes remain (3N − 5 of a line). Masses are those of
    the natural mixture of isotopes.

    Raises
    ------
    ConvergenceError
        The SCF or its response is not converged.
    InputError
        Fractional occupations.

    >>> import jax; jax.config.update("jax_enable_x64", True)
    >>> import jqc
    >>> hydrogen = jqc.Molecule.from_arrays(["H", "H"], [[0.0, 0.0, 0.0], [0.0, 0.0, 1.45]])
    >>> found = vibrations(jqc.scf(jqc.build_system(hydrogen), "pbe"), raman=False)
    >>> found.frequencies.shape, bool(3500 < found.frequencies[0] < 5000)
    ((1,), True)
    """
    answers = displacements(result)
    molecule = result.system.molecule
    masses = masses_of(molecule) / AMU
    squares, coordinates = normal_modes(answers.hessian, masses, np.asarray(molecule.coords))
    alpha = activities = ratios = None
    if raman:
        alpha = polarizability(result)
        slopes = np.einsum("ijm,km->kij", polarizability_slopes(result, answers), coordinates)
        activities, ratios = raman_activities(slopes * ANGSTROM**2 / np.sqrt(AMU))
    lengths = np.linalg.norm(coordinates, axis=1)
    return Vibrations(
        molecule=molecule,
        frequencies=np.copysign(np.sqrt(np.abs(squares)), squares) * WAVENUMBER,
        modes=(coordinates / lengths[:, None]).reshape(-1, len(masses), 3),
        reduced_masses=AMU / lengths**2,
        ir_intensities=IR_INTENSITY * np.sum((answers.dipole_slopes @ coordinates.T) ** 2, axis=0),
        raman_activities=activities,
        depolarization_ratios=ratios,
        polarizability=alpha,
        hessian=answers.hessian,
        energy=result.energy,
        largest_force=float(np.linalg.norm(forces(result), axis=1).max()),
    )


def masses_of(molecule: Molecule) -> np.ndarray:
    """Masses of the natural mixture of isotopes, amu, (atom,)."""
    from ase.data import atomic_masses

    return np.asarray(atomic_masses)[np.asarray(molecule.numbers)]


def rigid_motions(masses: np.ndarray, coords: np.ndarray) -> np.ndarray:
    """Orthonormal mass-weighted translations and rotations, (5 or 6, move); 3 of an atom."""
    weights = np.sqrt(masses)
    centred = coords - masses @ coords / masses.sum()
    translations = np.einsum("a,xy->xay", weights, np.eye(3)).reshape(3, -1)
    turns = np.einsum("xyz,ay,a->xaz", _LEVI_CIVITA, centred, weights).reshape(3, -1)
    moments, axes = np.linalg.eigh(turns @ turns.T)
    rotations = (axes.T @ turns)[moments > LINEAR * max(moments.max(), LINEAR)]
    return np.linalg.qr(np.concatenate([translations, rotations]).T)[0].T


_LEVI_CIVITA = np.cross(np.eye(3)[:, None], np.eye(3)[None]).transpose(2, 0, 1)


def normal_modes(hessian: np.ndarray, masses: np.ndarray, coords: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ω² and ∂R/∂Q (mode, move) of a Hessian, all in atomic units, rigid motions projected out."""
    rigid = rigid_motions(masses, coords)
    internal = np.linalg.svd(rigid)[2][len(rigid) :]
    roots = np.repeat(np.sqrt(masses), 3)
    squares, vectors = np.linalg.eigh(internal @ (hessian / np.outer(roots, roots)) @ internal.T)
    return squares, vectors.T @ internal / roots


def raman_activities(slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """45 a′² + 7 γ′² and the depolarization ratio 3γ′²/(45 a′² + 4γ′²) of ∂α/∂Q (mode, 3, 3)."""
    diagonal = np.einsum("kii->ki", slopes)
    mean = diagonal.mean(1)
    apart = diagonal[:, [0, 1, 2]] - diagonal[:, [1, 2, 0]]
    off = slopes[:, [0, 1, 2], [1, 2, 0]]
    anisotropy = 0.5 * np.sum(apart**2, axis=1) + 3 * np.sum(off**2, axis=1)
    total = 45 * mean**2 + 4 * anisotropy
    return 45 * mean**2 + 7 * anisotropy, 3 * anisotropy / np.where(total > 0, total, 1.0)
