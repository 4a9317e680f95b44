"""Enthalpy, entropy and free energy of an ideal gas of rigid rotors and harmonic oscillators, through ASE."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from jqc.errors import InputError
from jqc.response.vibrations import Vibrations, masses_of, rigid_motions
from jqc.units import ELECTRONVOLT, WAVENUMBER


@dataclass(frozen=True)
class Thermochemistry:
    """Of one molecule in the gas at `temperature` K and `pressure` Pa, hartree and hartree/K."""

    temperature: float
    pressure: float
    symmetry_number: int
    zero_point_energy: float
    internal_energy: float
    enthalpy: float
    entropy: float
    free_energy: float


def thermochemistry(
    found: Vibrations, temperature: float = 298.15, pressure: float = 101325.0, symmetry_number: int | None = None
) -> Thermochemistry:
    """Ideal-gas thermochemistry of a molecule; imaginary modes are left out.

    `symmetry_number` counts the rotations that map the molecule onto itself; None detects it.

    Raises
    ------
    InputError
        A temperature, pressure or symmetry number that is not positive.
    """
    from ase.thermochemistry import IdealGasThermo

    number = _symmetry_number(found) if symmetry_number is None else symmetry_number
    for name, value in {"temperature": temperature, "pressure": pressure, "symmetry_number": number}.items():
        if not value > 0:
            raise InputError(f"{name} is {value}; it must be positive.")
    energies = found.frequencies[found.frequencies > 0] * ELECTRONVOLT / WAVENUMBER
    motions = len(rigid_motions(masses_of(found.molecule), np.asarray(found.molecule.coords)))
    gas = IdealGasThermo(
        vib_energies=energies.tolist(),
        geometry="monatomic" if motions == 3 else "linear" if motions == 5 else "nonlinear",
        potentialenergy=found.energy * ELECTRONVOLT,
        atoms=found.molecule.to_ase(),
        symmetrynumber=number,
        spin=found.molecule.spin / 2,
        vib_selection="all",
    )
    enthalpy = gas.get_enthalpy(temperature, verbose=False) / ELECTRONVOLT
    entropy = gas.get_entropy(temperature, pressure, verbose=False) / ELECTRONVOLT
    return Thermochemistry(
        temperature=temperature,
        pressure=pressure,
        symmetry_number=number,
        zero_point_energy=found.zero_point_energy,
        internal_energy=gas.get_internal_energy(temperature, verbose=False) / ELECTRONVOLT,
        enthalpy=enthalpy,
        entropy=entropy,
        free_energy=enthalpy - temperature * entropy,
    )


def _symmetry_number(found: Vibrations) -> int:
    """From the point group that PySCF detects."""
    from pyscf.hessian.thermo import rotational_symmetry_number

    molecule = found.molecule
    atoms = list(zip(molecule.symbols, np.asarray(molecule.coords), strict=True))
    return int(rotational_symmetry_number(SimpleNamespace(_atom=atoms)))
