"""Geometries of a molecule at GFN2-xTB: relaxed conformers, and draws from the harmonic oscillators of a minimum.

Bannwarth, Ehlert & Grimme, J. Chem. Theory Comput. 15, 1652 (2019), doi:10.1021/acs.jctc.8b01176, as tblite has it.
"""

from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import CalculationFailed
from ase.data import covalent_radii
from ase.optimize import BFGS
from rdkit import Chem
from rdkit.Chem import AllChem
from rdkit.Chem.EnumerateStereoisomers import EnumerateStereoisomers, StereoEnumerationOptions
from tblite.ase import TBLite
from tblite.interface import Calculator

from jqc.response.vibrations import normal_modes
from jqc.units import AMU, ANGSTROM, ELECTRONVOLT, WAVENUMBER

FORCE = 2e-3  # eV/Å: below it frequencies no longer change
ATTEMPTS, KICK = 4, 0.2  # how often, and how far in Å, a saddle point is left
STEP = 5e-3  # Å, of central differences of forces
BONDED = 1.2  # two atoms are bonded if their distance is below this times the sum of their covalent radii
STRETCH = 1.25  # no bond of a displaced geometry is longer than this times its length in the minimum
TEMPERATURE = 500 / 315775.0248  # kelvin to hartree
SOFTEST = 200 / WAVENUMBER  # softer modes are drawn as if they were this hard: large turns are not straight lines
IMAGINARY = 30 / WAVENUMBER  # a mode with a negative curvature up to here may be noise
GAP = 1.0  # eV: with a smaller one the closed shell is no ground state
APART = 3e-4 * ELECTRONVOLT  # eV, 0.2 kcal/mol: conformers nearer in energy may be one


class UnfitError(Exception):
    """The molecule has no geometry that the study can use; the message says why."""


class Minimum(NamedTuple):
    """A relaxed geometry, Å, its energy, eV, and its oscillators once they are known.

    `frequencies` ω (mode,) and `modes` ∂R/∂Q (mode, 3·atom), atomic units, Q mass-weighted.
    """

    positions: np.ndarray
    energy: float
    frequencies: np.ndarray | None = None
    modes: np.ndarray | None = None


def embedded(smiles: str, count: int, seed: int) -> tuple[Chem.Mol, list[np.ndarray]]:
    """A stereoisomer of a molecule with hydrogens, and up to `count` embeddings, Å."""
    options = StereoEnumerationOptions(tryEmbedding=True, unique=True, maxIsomers=1, rand=seed)
    isomer = next(iter(EnumerateStereoisomers(Chem.MolFromSmiles(smiles), options)), None)
    if isomer is None:
        raise UnfitError("no embedding")
    molecule = Chem.AddHs(isomer)
    found = AllChem.EmbedMultipleConfs(molecule, count, randomSeed=seed)
    if not len(found):
        raise UnfitError("no embedding")
    AllChem.MMFFOptimizeMoleculeConfs(molecule, maxIters=500)
    return molecule, [conformer.GetPositions() for conformer in molecule.GetConformers()]


def relaxed(molecule: Chem.Mol, positions: np.ndarray) -> Minimum:
    """The nearest minimum, if its bonds are those of the graph."""
    atoms = _atoms(molecule, positions)
    try:
        converged = BFGS(atoms, logfile=None).run(fmax=FORCE, steps=500)
    except CalculationFailed:
        raise UnfitError("no self-consistency") from None
    if not converged:
        raise UnfitError("not relaxed")
    if not np.array_equal(_contacts(atoms), _bonds(molecule)):
        raise UnfitError("bonds changed")
    if _gap(atoms) < GAP:
        raise UnfitError("small gap")
    return Minimum(atoms.positions, atoms.get_potential_energy())


def conformers(molecule: Chem.Mol, embeddings: list[np.ndarray]) -> list[Minimum]:
    """The lowest minimum that embeddings relax to, and the next that lies higher by more than `APART`."""
    found: list[Minimum] = []
    reasons: list[UnfitError] = []
    for positions in embeddings:
        try:
            found.append(relaxed(molecule, positions))
        except UnfitError as unfit:
            reasons.append(unfit)
    if not found:
        raise reasons[0]
    found.sort(key=lambda minimum: minimum.energy)
    lowest = settled(molecule, found[0])
    for other in found[1:]:
        if other.energy > lowest.energy + APART and (second := settled(molecule, other)).energy > lowest.energy + APART:
            return [lowest, second]
    return [lowest]


def settled(molecule: Chem.Mol, minimum: Minimum) -> Minimum:
    """A minimum with its oscillators; a saddle point is left along its imaginary mode."""
    for _ in range(ATTEMPTS):
        squares, modes = normal_modes(*_hessian(molecule, minimum.positions))
        if squares.min() > -(IMAGINARY**2):
            return minimum._replace(frequencies=np.sqrt(np.abs(squares)), modes=modes)
        away = modes[0].reshape(-1, 3)
        minimum = relaxed(molecule, minimum.positions + KICK * away / np.abs(away).max())
    raise UnfitError("no minimum")


def displaced(molecule: Chem.Mol, minimum: Minimum, count: int, generator: np.random.Generator) -> list[np.ndarray]:
    """Draws from the density of quantum oscillators at 500 K, ⟨Q²⟩ = coth(ω/2kT)/(2ω), Å.

    A draw in which a bond stretches too far, or atoms meet that are not bonded, is scaled down until they do not.
    """
    frequencies = np.maximum(minimum.frequencies, SOFTEST)
    widths = np.sqrt(0.5 / frequencies / np.tanh(0.5 * frequencies / TEMPERATURE))
    draws = generator.normal(size=(count, len(widths))) * widths @ minimum.modes * ANGSTROM
    return [_capped(molecule, minimum.positions, draw.reshape(-1, 3)) for draw in draws]


def _hessian(molecule: Chem.Mol, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """∂²E/∂R² by differences of forces, masses and positions, atomic units."""
    atoms = _atoms(molecule, positions)
    hessian = np.zeros((positions.size, positions.size))
    for move, row in enumerate(hessian):
        for sign in (1, -1):
            atoms.positions = positions
            atoms.positions[np.unravel_index(move, positions.shape)] += sign * STEP
            row -= sign * atoms.get_forces().ravel() / (2 * STEP)
    hessian = 0.5 * (hessian + hessian.T) * ANGSTROM**2 / ELECTRONVOLT
    return hessian, atoms.get_masses() / AMU, positions / ANGSTROM


def _capped(molecule: Chem.Mol, positions: np.ndarray, step: np.ndarray) -> np.ndarray:
    bonds = _bonds(molecule)
    longest = STRETCH * _atoms(molecule, positions).get_all_distances()
    while True:
        atoms = _atoms(molecule, positions + step)
        if np.all(atoms.get_all_distances()[bonds] <= longest[bonds]) and not np.any(_contacts(atoms) & ~bonds):
            return atoms.positions
        step = 0.9 * step


def _atoms(molecule: Chem.Mol, positions: np.ndarray) -> Atoms:
    atoms = Atoms([atom.GetAtomicNum() for atom in molecule.GetAtoms()], positions)
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    return atoms


def _gap(atoms: Atoms) -> float:
    """Energy between the highest occupied and the lowest empty orbital, eV."""
    calculator = Calculator("GFN2-xTB", atoms.numbers, atoms.positions / ANGSTROM)
    calculator.set("verbosity", 0)
    solved = calculator.singlepoint()
    energies, pairs = solved.get("orbital-energies"), round(solved.get("orbital-occupations").sum() / 2)
    return float(energies[pairs] - energies[pairs - 1]) * ELECTRONVOLT


def _bonds(molecule: Chem.Mol) -> np.ndarray:
    """Which atoms the graph connects."""
    return Chem.GetAdjacencyMatrix(molecule).astype(bool)


def _contacts(atoms: Atoms) -> np.ndarray:
    """Which atoms are near enough to be bonded."""
    radii = covalent_radii[atoms.numbers]
    near = atoms.get_all_distances() < BONDED * (radii[:, None] + radii)
    return near & ~np.eye(len(atoms), dtype=bool)
