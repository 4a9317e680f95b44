"""Conversion factors against another table of the constants."""

import pytest
from scipy import constants

from jqc import units

ADJUSTMENT = 1e-8
"""CODATA adjustments of 2018 and 2022 differ by less."""

BOHR, HARTREE = (constants.value(name) for name in ("Bohr radius", "Hartree energy in eV"))
DIPOLE = constants.value("atomic unit of electric dipole mom.")


@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        (units.ANGSTROM, BOHR * 1e10),
        (units.ELECTRONVOLT, HARTREE),
        (units.DEBYE, DIPOLE / (1e-21 / constants.c)),
        (units.MICROHARTREE, 1e6),
        (units.MILLIHARTREE, 1e3),
        (units.KILOCALORIE, constants.value("Hartree energy") * constants.N_A / 4184),
    ],
    ids=["angstrom", "electronvolt", "debye", "microhartree", "millihartree", "kilocalorie"],
)
def test_factor(factor, expected):
    assert factor == pytest.approx(expected, rel=ADJUSTMENT)
