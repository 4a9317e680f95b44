"""What is known of every molecule, as plain numbers: a functional's record beside the teacher's and PBE's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jqc.data.record import Record
from jqc.system import Molecule

NUMBERS = {
    "energy": "energy_hartree",
    "energy_error": "energy_error_hartree",
    "density_energy_error": "density_energy_error_hartree",
    "classical_energy_error": "classical_energy_error_hartree",
    "density_distance": "density_distance_au",
    "dipole_error": "dipole_error_debye",
    "iterations": "iterations",
    "fock_builds": "fock_builds",
}
"""Scalars of a record, and what they are called in a row."""


@dataclass(frozen=True)
class Labelled:
    """A molecule of a store of labels: what its record says besides arrays, its energy, and a hash of its file."""

    molecule: Molecule
    info: Mapping[str, Any]
    energy: float
    sha256: str

    @property
    def formula(self) -> str:
        """Sum formula in Hill order, with the charge if there is one."""
        formula = self.molecule.to_ase().get_chemical_formula("hill")
        return formula + (f"{self.molecule.charge:+d}" if self.molecule.charge else "")


def row(name: str, labelled: Labelled, found: Record | None, teacher: Record | None, pbe: Record | None) -> dict:
    """Plain numbers of one molecule, None where a calculation failed or did not converge; units are in the names.

    The reference's energy is that of the fine quadrature, or, without an energy to compare with it, the label's own.
    `fock_builds_minao` are the iterations of the teacher's SCF from superposed atoms, `fock_builds_pbe` those from a
    self-consistent PBE density.
    """
    molecule, reference = labelled.molecule, _number(found, "reference_energy")
    made = {
        "record": name,
        "name": str(labelled.info.get("name", name)),
        "smiles": labelled.info.get("smiles"),
        "formula": labelled.formula,
        "kind": labelled.info.get("kind"),
        "heavy_atoms": int((np.asarray(molecule.numbers) > 1).sum()),
        "electrons": molecule.n_electrons,
        "reference_energy_hartree": labelled.energy if reference is None else reference,
        **{key: _number(found, array) for array, key in NUMBERS.items()},
        "fock_builds_minao": _converged_iterations(teacher),
        "fock_builds_pbe": _number(pbe, "fock_builds"),
        "scf": _status(found, "scf"),
        "teacher": _status(found, "teacher"),
    }
    distance = made["density_distance_au"]
    made["density_distance_per_electron_au"] = None if distance is None else distance / molecule.n_electrons
    for each in ("singlet", "triplet"):
        made |= _excitations(f"{each}s", each, found, teacher)
    return made


def _excitations(name: str, each: str, found: Record | None, teacher: Record | None) -> dict[str, Any]:
    """Energies of both, by order, and the mean magnitude of their difference."""
    here, there = (None if record is None else record.arrays.get(name) for record in (found, teacher))
    error = None if here is None or there is None else float(np.abs(here - there).mean())
    return {
        name: _status(found, name),
        f"{name}_ev": None if here is None else here.tolist(),
        f"reference_{name}": _status(teacher, name),
        f"reference_{name}_ev": None if there is None else there.tolist(),
        f"{each}_error_ev": error,
    }


def _number(record: Record | None, array: str) -> float | int | None:
    return None if record is None or array not in record.arrays else record.arrays[array].item()


def _converged_iterations(record: Record | None) -> float | int | None:
    return _number(record, "iterations") if _status(record, "scf") == "converged" else None


def _status(record: Record | None, name: str) -> str:
    """What became of a calculation; `failed` where there is no record, `skipped` where the SCF had failed."""
    return "failed" if record is None else str(record.attributes.get(name, "skipped"))
