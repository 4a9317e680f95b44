"""`jqc forces`: the forces on the atoms of a molecule in a file."""

from dataclasses import dataclass

from jqc.cli.calculation import NOT_CONVERGED, Calculation, inputs, outputs, set_up_jax, solve, timed, used_settings
from jqc.cli.info import versions
from jqc.cli.summary import print_atoms, print_table, to_dict
from jqc.files import write_json

RESIDUAL = 1e-6
"""Orbital gradient that a density must reach; forces are linear in what is left of it."""


@dataclass(frozen=True)
class ForcesCommand(Calculation):
    """Forces on the atoms of a molecule.

    Exit code: 0 done, 3 not converged, 2 bad input.
    """

    def run(self) -> int:
        """Solve, differentiate, print, write.

        Raises:
            InputError: something given cannot be used; no file has been touched.
        """
        with timed() as seconds:
            (json_path,) = outputs(self.file, json=self.json)
            set_up_jax()
            molecule, guess = inputs(self)
            result = solve(self, molecule, guess, moving=True, residual_tolerance=RESIDUAL)
            found = None
            if result.converged:
                from jqc.response import forces

                found = forces(result)
        numbers = to_dict(result, seconds) | {
            "forces_hartree_per_bohr": None if found is None else found.tolist(),
            "settings": used_settings(self, molecule),
            "versions": versions(),
        }
        print_table(numbers)
        if found is not None:
            print_atoms("force / (Eh/bohr)", result.system.molecule.symbols, found)
        if json_path:
            write_json(json_path, numbers)
        return 0 if result.converged else NOT_CONVERGED
