"""Weights that the package ships: what their files tell, and what every one of them owes to its users."""

import re
from functools import cache

import jax
import numpy as np
import pytest

import jqc
import jqc.pyscf
from jqc.scf import SCFResult, SCFSettings
from jqc.system import Molecule, build_system
from jqc.system.basis import make_mole
from jqc.system.grid import molecular_grid
from jqc.xc.neural.architectures import ARCHITECTURES, create
from jqc.xc.neural.files import load, read_provenance
from jqc.xc.neural.stored import PREFIX, WEIGHTS, shipped

TIGHT = SCFSettings(energy_tolerance=1e-11, residual_tolerance=1e-7)
STEP = 4e-5
"""Bohr, of a central difference: logarithms of Skala-mGGA tell slopes within 1e-3 bohr of a nucleus apart."""

SLOPE = 1e-6
"""Hartree/bohr; third derivatives of Skala-mGGA leave some 2e-7, energies converged to 1e-12 some 1e-8."""

ENERGY = 1e-7
"""Hartree, between PySCF's SCF and jqc's on the same points."""

NEAR = 0.02
"""Hartree, in water, which they were trained on: they differ from B3LYP by up to 0.005, PBE by 0.09, LDA by 0.56."""

DIPOLE = 0.013
"""Atomic units, in water: they differ from B3LYP by up to 0.011, LDA by 0.017, PBE by 0.019."""

SOLVED = [pytest.param(name, marks=[pytest.mark.slow] * (name == "eg-xc")) for name in ARCHITECTURES]
"""EG-XC's take half a minute each, most of it compilation."""


@pytest.fixture(scope="module")
def points(water):
    """A quadrature that stays where it is."""
    grid = molecular_grid(make_mole(water, "def2-svp"), 1, 64)
    return grid.coords, grid.weights


@pytest.fixture(scope="module")
def solve(points):
    """A solution with a functional of given name, of water or of water displaced."""

    @cache
    def solve(xc: str, molecule: Molecule) -> SCFResult:
        return jqc.scf(build_system(molecule, "def2-svp", grid=points), xc, settings=TIGHT).check()

    return solve


def test_every_architecture_ships():
    assert {*shipped()} == {PREFIX + name for name in ARCHITECTURES}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_where_they_come_from(name):
    path = WEIGHTS / f"{name}.npz"
    known = read_provenance(path)
    assert load(path).model == create(name, jax.random.key(0)).model
    assert known["config"]["model"] == name
    assert isinstance(known["config"]["training"]["seed"], int)
    assert all(re.fullmatch("[0-9a-f]{64}", known["sha256"][part]) for part in ("training", "validation"))
    assert {"jqc-jax", "jax", "flax", "optax"} <= {*known["versions"]}
    assert re.match(r"\d{4}-\d\d-\d\dT", known["time"])
    assert any("run.py" in command for command in known["commands"])
    assert known["test"]["summary"]["energy_error_hartree"]["mean"] > 0
    assert path.stat().st_size < 1_000_000


@pytest.mark.parametrize("name", SOLVED)
def test_water_is_nearly_the_teachers(name, solve, water):
    learned, teacher = solve(PREFIX + name, water), solve("b3lyp", water)
    assert learned.energy == pytest.approx(teacher.energy, abs=NEAR)
    assert np.linalg.norm(learned.dipole) == pytest.approx(np.linalg.norm(teacher.dipole), abs=DIPOLE)


@pytest.mark.parametrize("name", ["lda", "pbe"])
def test_those_that_learned_nothing_are_further_off(name, solve, water):
    """Else the bounds above would say nothing."""
    other, teacher = solve(name, water), solve("b3lyp", water)
    assert abs(other.energy - teacher.energy) > NEAR
    assert abs(np.linalg.norm(other.dipole) - np.linalg.norm(teacher.dipole)) > DIPOLE


@pytest.mark.parametrize("name", SOLVED)
def test_forces_are_slopes(name, solve, water):
    direction = np.random.default_rng(1).normal(size=(3, 3))

    def energy(step: float) -> float:
        moved = np.asarray(water.coords) + step * direction
        return float(solve(PREFIX + name, Molecule(water.numbers, moved)).energy)  # pyright: ignore[reportArgumentType]

    force = np.sum(jqc.forces(solve(PREFIX + name, water)) * direction)
    assert -force == pytest.approx((energy(STEP) - energy(-STEP)) / (2 * STEP), abs=SLOPE)


def test_through_pyscf(solve, water):
    mf = make_mole(water, "def2-svp").RKS().density_fit("def2-universal-jkfit")
    mf.grids.level, mf.conv_tol = 1, 1e-10
    energy = jqc.pyscf.with_functional(mf, "jqc-xcdiff").kernel()
    assert energy == pytest.approx(solve("jqc-xcdiff", water).energy, abs=ENERGY)
