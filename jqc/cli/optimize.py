"""`jqc optimize`: the nearest minimum of a molecule's energy."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from jqc.cli.calculation import (
    NOT_CONVERGED,
    Calculation,
    outputs,
    set_up_jax,
    system_options,
    timed,
    used_settings,
)
from jqc.cli.info import versions
from jqc.cli.summary import print_atoms, print_table, to_dict
from jqc.errors import ConvergenceError, InputError
from jqc.files import write_atomically, write_json
from jqc.units import ANGSTROM, ELECTRONVOLT

if TYPE_CHECKING:
    from ase import Atoms

    from jqc.ase import JQC


@dataclass(frozen=True)
class OptimizeCommand(Calculation):
    """Move the atoms to the nearest minimum of the energy, by ASE's BFGS.

    Exit code: 0 converged, 3 not converged (the last geometry is written all the same), 2 bad input.
    """

    fmax: Annotated[float, arg(metavar="EV_PER_ANGSTROM")] = 0.01
    """Done when no force is larger."""
    steps: Annotated[int, arg(metavar="INT")] = 200
    """Steps after which to give up."""
    save: Annotated[Path | None, arg(metavar="OUT.xyz")] = None
    """Write the last geometry here as extended XYZ."""

    def run(self) -> int:
        """Optimise, print, write.

        Raises:
            InputError: something given cannot be used; no file has been touched.
        """
        if not self.fmax > 0:
            raise InputError(f"--fmax is {self.fmax}; give a positive force in eV/Å.")
        with timed() as seconds:
            json_path, save_path = outputs(self.file, json=self.json, save=self.save)
            set_up_jax()
            atoms, calculator = self._atoms()
            try:
                converged = self._move(atoms)
            except ConvergenceError as error:
                print(f"jqc: {error}", file=sys.stderr)
                return NOT_CONVERGED
            result = calculator.solved()
        molecule = result.system.molecule
        numbers = to_dict(result, seconds) | {
            "converged": converged,
            "forces_hartree_per_bohr": (atoms.get_forces() * ANGSTROM / ELECTRONVOLT).tolist(),
            "positions_angstrom": atoms.positions.tolist(),
            "settings": used_settings(self, molecule) | {"fmax": self.fmax, "steps": self.steps},
            "versions": versions(),
        }
        print_table(numbers)
        print_atoms("position / Å", molecule.symbols, atoms.positions)
        if json_path:
            write_json(json_path, numbers)
        if save_path:
            write_atomically(save_path, molecule.to_xyz_text().encode())
        return 0 if converged else NOT_CONVERGED

    def _atoms(self) -> "tuple[Atoms, JQC]":
        """ASE atoms with a calculator of the options."""
        from jqc.ase import JQC
        from jqc.system import Molecule
        from jqc.xc import functional

        molecule = Molecule.from_xyz(self.file, self.charge, self.spin)
        calculator = JQC(
            functional(self.xc),
            charge=molecule.charge,
            spin=molecule.spin,
            **system_options(self),
            solver=self.solver,
            max_iterations=self.max_iterations,
        )
        atoms = molecule.to_ase()
        atoms.calc = calculator
        return atoms, calculator

    def _move(self, atoms: "Atoms") -> bool:
        """Whether the forces became small; a line per step."""
        from ase.optimize import BFGS

        return bool(BFGS(atoms, logfile="-").run(fmax=self.fmax, steps=self.steps))
