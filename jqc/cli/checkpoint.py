"""The HDF5 file of `--save`: density, orbitals and geometry; `--guess` reads the density back."""

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from jqc.errors import InputError, refusal

if TYPE_CHECKING:
    import numpy as np

    from jqc.scf import SCFResult
    from jqc.system import Molecule

SUFFIXES = (".h5", ".hdf5")


def to_hdf5(result: "SCFResult", functional: str, versions: dict[str, str]) -> bytes:
    """Content of a file that holds the result."""
    import h5py
    import numpy as np

    molecule, system = result.system.molecule, result.system
    datasets = {
        "dm": (result.dm, "1"),
        "mo_coeff": (result.mo_coeff, "1"),
        "mo_energy": (result.mo_energy, "hartree"),
        "occupations": (result.occupations, "1"),
        "energy": (result.energy, "hartree"),
        "numbers": (molecule.numbers, "1"),
        "coords": (molecule.coords, "bohr"),
    }
    attributes = {
        "charge": molecule.charge,
        "spin": molecule.spin,
        "basis": system.basis,
        "aux_basis": system.aux_basis,
        "coulomb": system.coulomb,
        "functional": functional,
        "converged": result.converged,
        "versions": json.dumps(versions),
    }
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        for name, (value, unit) in datasets.items():
            file.create_dataset(name, data=np.asarray(value)).attrs["unit"] = unit
        file.attrs.update(attributes)
    return memory.getvalue()


def read_dm(path: Path, molecule: "Molecule", basis: str) -> "np.ndarray":
    """Density matrix of a saved result of the same elements and basis, at any geometry, charge and spin.

    Raises:
        InputError: the file cannot be read, was not written by `--save`, or is of other atoms or basis.
    """
    import h5py
    import numpy as np

    try:
        content = path.read_bytes()
    except OSError as error:
        reason = refusal(error)
        raise InputError(f"{path} cannot be read ({reason}); give a file written with --save.") from None
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            dm, numbers = np.asarray(file["dm"], dtype=float), np.asarray(file["numbers"], dtype=int)
            saved_basis = str(file.attrs["basis"])
    except Exception:  # HDF5 meets a damaged file with errors of many kinds
        raise InputError(f"{path} holds no saved density; give a file written with --save.") from None
    if not np.array_equal(numbers, np.asarray(molecule.numbers)):
        raise InputError(f"{path} holds a density of other atoms; give one of the same.")
    if _normal(saved_basis) != _normal(basis):
        raise InputError(f"{path} holds a density in basis {saved_basis}; run with --basis {saved_basis}.")
    if not np.all(np.isfinite(dm)):
        raise InputError(f"{path} holds a density that is not finite; start from minao, atom or core.")
    return dm


def _normal(basis: str) -> str:
    """A basis name as PySCF compares it."""
    return basis.lower().replace("-", "").replace("_", "").replace(" ", "")
