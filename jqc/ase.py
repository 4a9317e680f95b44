"""An ASE calculator, so that ASE's optimisers, NEB, vibrations and dynamics run on jqc.

    atoms.calc = jqc.ase.JQC(xc="pbe", basis="def2-svp")

Each geometry starts from the last one's orbitals and array shapes: a trajectory converges fast and compiles once.
"""

from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from jqc.errors import InputError
from jqc.response.forces import forces
from jqc.scf.repulsion import check_exchange
from jqc.scf.result import SCFResult
from jqc.scf.solve import scf
from jqc.scf.step import SCFSettings
from jqc.system import Molecule, build_system
from jqc.units import ANGSTROM, ELECTRONVOLT
from jqc.xc.base import Functional
from jqc.xc.registry import as_functional


class JQC(Calculator):
    """Energy (eV), forces (eV/Å), dipole (e·Å) and Mulliken charges of a Kohn–Sham calculation.

    Parameters
    ----------
    xc
        Functional, a name or a `jqc.xc.Functional`.
    basis, aux_basis, coulomb, grid_level, exchange, precision, memory
        As in `jqc.build_system`.
    charge, spin
        Total charge and number of unpaired electrons; by default those of `atoms.info`, else zero.
    solver, max_iterations, settings
        As in `jqc.scf`; forces need a tighter density than energies.
    moving_grid
        As in `jqc.forces`; dynamics conserve energy with it.

    >>> import jax; jax.config.update("jax_enable_x64", True)
    >>> from ase import Atoms
    >>> hydrogen = Atoms("H2", [[0, 0, 0], [0, 0, 0.74]], calculator=JQC(xc="pbe"))
    >>> bool(abs(hydrogen.get_potential_energy() + 31.6) < 0.5)
    True
    """

    implemented_properties = ("energy", "free_energy", "forces", "dipole", "charges")  # pyright: ignore[reportAssignmentType]

    def __init__(
        self,
        xc: str | Functional = "pbe",
        basis: str = "def2-svp",
        aux_basis: str | None = None,
        coulomb: str = "df",
        grid_level: int = 3,
        charge: int | None = None,
        spin: int | None = None,
        solver: str = "auto",
        max_iterations: int = 100,
        settings: SCFSettings = SCFSettings(residual_tolerance=1e-5),  # noqa: B008 - frozen
        exchange: str = "df",
        precision: str = "double",
        memory: int | str | None = None,
        moving_grid: bool = False,
        **options: Any,
    ):
        super().__init__(**options)
        self.xc, self.charge, self.spin, self.moving_grid = xc, charge, spin, moving_grid
        self.scf_options = {"solver": solver, "max_iterations": max_iterations, "settings": settings}
        self.system_options: dict[str, Any] = {
            "basis": basis,
            "aux_basis": aux_basis,
            "coulomb": coulomb,
            "grid_level": grid_level,
            "exchange": exchange,
            "precision": precision,
            "memory": memory,
        }
        self.result: SCFResult | None = None

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes) -> None:
        """One SCF, and forces where they are asked for."""
        super().calculate(atoms, properties, system_changes)
        if self.atoms is None:
            raise InputError("the calculator has no atoms; set atoms.calc and ask the atoms.")
        functional = as_functional(self.xc)
        check_exchange(functional, self.system_options["exchange"], moving="forces" in properties)
        molecule = Molecule.from_ase(self.atoms, self.charge, self.spin)
        self.result = self._solve(molecule, functional)
        self.results = {
            "energy": self.result.energy * ELECTRONVOLT,
            "free_energy": self.result.energy * ELECTRONVOLT,
            "dipole": np.asarray(self.result.dipole) * ANGSTROM,
            "charges": np.asarray(self.result.charges),
        }
        if "forces" in properties:
            self.results["forces"] = forces(self.result, moving_grid=self.moving_grid) * (ELECTRONVOLT / ANGSTROM)

    def _solve(self, molecule: Molecule, functional: Functional) -> SCFResult:
        """The SCF, from the last result where it was the same molecule."""
        last = self.result
        if last is None or not _same_kind(last.system.molecule, molecule):
            return scf(build_system(molecule, **self.system_options), functional, **self.scf_options).check()
        system = build_system(molecule, **self.system_options, like=last.system)
        return scf(system, functional, guess=last, **self.scf_options).check()

    def solved(self) -> SCFResult:
        """Result of the last geometry.

        Raises
        ------
        InputError
            Nothing has been computed yet.
        """
        if self.result is None:
            raise InputError("nothing has been computed yet; ask the atoms for their energy first.")
        return self.result


def _same_kind(one: Molecule, other: Molecule) -> bool:
    same = (one.charge, one.spin) == (other.charge, other.spin)
    return same and np.array_equal(np.asarray(one.numbers), np.asarray(other.numbers))
