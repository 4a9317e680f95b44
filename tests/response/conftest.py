"""Solved molecules that the tests of responses share, tightly converged on a coarse grid."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import jqc
from jqc.scf import SCFResult, SCFSettings
from jqc.system import Molecule, build_system

MOLECULES = Path(__file__).parents[2] / "examples/molecules"
TIGHT = SCFSettings(energy_tolerance=1e-12, residual_tolerance=1e-8)


@cache
def _system(name: str, coulomb: str):
    return build_system(Molecule.from_xyz(MOLECULES / f"{name}.xyz"), coulomb=coulomb, grid_level=1)


@cache
def _solved(name: str, xc: str, coulomb: str = "df") -> SCFResult:
    return jqc.scf(_system(name, coulomb), xc, settings=TIGHT).check()


@pytest.fixture(scope="session")
def solved() -> Callable[..., SCFResult]:
    """A result by molecule, functional and treatment of integrals: `solved("water", "b3lyp", "exact")`."""
    return _solved


@pytest.fixture(scope="session")
def in_field() -> Callable[..., SCFResult]:
    """A result in a static field, `in_field(result, [0, 0, 1e-3])`."""

    def run(result: SCFResult, field) -> SCFResult:
        system = result.system
        attraction = system.attraction + np.einsum("x,xmn->mn", field, system.dipole)
        return jqc.scf(replace(system, attraction=attraction), result.functional, result, settings=TIGHT).check()

    return run


@pytest.fixture(scope="session")
def moved() -> Callable[..., SCFResult]:
    """A result with its nuclei shifted and the quadrature left where it was: `moved(result, shift)`."""

    def run(result: SCFResult, shift: np.ndarray) -> SCFResult:
        molecule, system = result.system.molecule, result.system
        there = replace(molecule, coords=np.asarray(molecule.coords) + shift)
        built = build_system(there, coulomb=system.coulomb, grid_level=1, like=system)
        omegas = tuple(omega for omega, _ in result.functional.exchange if omega)
        built = jqc.system.with_range(built, omegas) if omegas else built
        return jqc.scf(replace(built, groups=system.groups), result.functional, settings=TIGHT).check()

    return run
