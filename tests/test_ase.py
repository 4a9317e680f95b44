"""The ASE calculator: units, what it computes when, warm starts, and ASE's own check of the forces."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.fd import calculate_numerical_forces
from ase.optimize import BFGS

import jqc
from jqc.ase import JQC
from jqc.errors import InputError
from jqc.response import forces
from jqc.units import ANGSTROM, ELECTRONVOLT

POSITIONS = [[0.0, 0.0, 0.12], [0.0, 0.76, -0.48], [0.0, -0.76, -0.48]]


def water(**options) -> Atoms:
    return Atoms("OH2", POSITIONS, calculator=JQC(grid_level=1, basis="6-31g", **options))


def test_units():
    atoms = water()
    result = jqc.scf(jqc.build_system(jqc.Molecule.from_ase(atoms), "6-31g", grid_level=1), "pbe")
    assert atoms.get_potential_energy() == pytest.approx(result.energy * ELECTRONVOLT, abs=1e-6)
    expected = forces(result) * ELECTRONVOLT / ANGSTROM
    np.testing.assert_allclose(atoms.get_forces(), expected, rtol=0, atol=2e-3)
    np.testing.assert_allclose(atoms.get_dipole_moment(), result.dipole * ANGSTROM, rtol=0, atol=1e-4)
    assert atoms.get_charges().sum() == pytest.approx(0.0, abs=1e-6)


def test_forces_are_the_slope_of_the_energy():
    """Hartree-Fock has no grid."""
    atoms = water(xc="hf")
    numeric = calculate_numerical_forces(atoms, eps=1e-3, iatoms=[1])
    np.testing.assert_allclose(atoms.get_forces()[1], numeric[0], rtol=0, atol=2e-4)


def test_the_next_geometry_starts_warm():
    atoms = water()
    atoms.get_potential_energy()
    cold = atoms.calc.solved().iterations
    atoms.positions[1, 1] += 0.005
    warm_energy = atoms.get_potential_energy()
    assert atoms.calc.solved().iterations < cold
    again = water()
    again.positions = atoms.positions
    assert again.get_potential_energy() == pytest.approx(warm_energy, abs=1e-6)


def test_other_atoms_start_afresh():
    calculator = JQC(basis="6-31g", grid_level=0)
    Atoms("He", calculator=calculator).get_potential_energy()
    hydrogen = Atoms("H", calculator=calculator, info={"spin": 1})
    assert hydrogen.get_potential_energy() == pytest.approx(-13.6, abs=0.5)


def test_optimisation():
    atoms = water()
    assert BFGS(atoms, logfile=None).run(fmax=0.02, steps=30)
    assert atoms.get_distance(0, 1) == pytest.approx(atoms.get_distance(0, 2), abs=5e-3)
    assert 0.95 < atoms.get_distance(0, 1) < 1.02


def test_nothing_computed_yet():
    with pytest.raises(InputError, match="nothing has been computed"):
        JQC().solved()
