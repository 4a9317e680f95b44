"""The ASE calculator: units, what it computes when, warm starts, and ASE's own check of the forces."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.fd import calculate_numerical_forces
from ase.md.verlet import VelocityVerlet
from ase.mep import NEB
from ase.optimize import BFGS
from ase.vibrations import Vibrations

import jqc
from jqc.ase import JQC
from jqc.errors import InputError
from jqc.response import forces, vibrations
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


def hydrogen(length: float = 0.78) -> Atoms:
    return Atoms("H2", [[0.0, 0.0, 0.0], [0.0, 0.0, length]], calculator=JQC(xc="hf", basis="6-31g", grid_level=0))


def test_dynamics_conserve_energy():
    """Hydrogen swings through 0.4 eV; with velocity Verlet at 0.1 fs the total keeps to a hundredth of that."""
    atoms = hydrogen(0.90)
    totals, potentials = [], []

    def watch():
        potentials.append(atoms.get_potential_energy())
        totals.append(atoms.get_total_energy())

    dynamics = VelocityVerlet(atoms, timestep=0.1 * units.fs)
    dynamics.attach(watch)
    dynamics.run(40)
    assert np.ptp(potentials) > 0.2
    assert np.ptp(totals) < 0.01 * np.ptp(potentials)


def test_vibrations_by_differences_equal_analytic_ones(tmp_path):
    atoms = hydrogen(0.73)
    run = Vibrations(atoms, name=str(tmp_path / "vib"), delta=0.005, nfree=4)
    run.run()
    frequency = run.get_frequencies().real.max()
    atoms.get_potential_energy()
    result = atoms.calc.solved()
    analytic = vibrations(result, raman=False).frequencies[0]
    assert frequency == pytest.approx(analytic, abs=1.0)


def test_a_reaction_path():
    """H + H₂ → H₂ + H on a line: the barrier's top is symmetric."""
    ends = [[0.0, 0.0, 0.0], [0.0, 0.0, 0.75], [0.0, 0.0, 2.1]], [[0.0, 0.0, 0.0], [0.0, 0.0, 1.35], [0.0, 0.0, 2.1]]
    first, last = (Atoms("H3", positions, info={"spin": 1}) for positions in ends)
    images = [first, *(first.copy() for _ in range(3)), last]
    for image in images:
        image.calc = JQC(xc="hf", basis="6-31g", grid_level=0)
    path = NEB(images, method="improvedtangent")
    path.interpolate()
    assert BFGS(path, logfile=None).run(fmax=0.15, steps=40)
    energies = [image.get_potential_energy() for image in images]
    assert int(np.argmax(energies)) == 2
    assert energies[1] == pytest.approx(energies[3], abs=0.02)
    assert images[2].get_distance(0, 1) == pytest.approx(images[2].get_distance(1, 2), abs=0.02)


def test_nothing_computed_yet():
    with pytest.raises(InputError, match="nothing has been computed"):
        JQC().solved()
