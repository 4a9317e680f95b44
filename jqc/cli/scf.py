"""`jqc scf`: solve the Kohn–Sham equations of a molecule in a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from jqc.cli.calculation import NOT_CONVERGED, Calculation, inputs, outputs, set_up_jax, solve, timed, used_settings
from jqc.cli.checkpoint import to_hdf5
from jqc.cli.info import versions
from jqc.cli.summary import print_table, to_dict
from jqc.files import write_atomically, write_json


@dataclass(frozen=True)
class ScfCommand(Calculation):
    """Solve the Kohn–Sham equations of a molecule.

    Exit code: 0 converged, 3 not converged, 2 bad input.
    """

    save: Annotated[Path | None, arg(metavar="OUT.h5")] = None
    """Write density, orbitals and geometry here as HDF5."""

    def run(self) -> int:
        """Solve, print, write.

        Raises:
            InputError: something given cannot be used; no file has been touched.
        """
        with timed() as seconds:
            json_path, save_path = outputs(self.file, json=self.json, save=self.save)
            set_up_jax()
            molecule, guess = inputs(self)
            result = solve(self, molecule, guess)
        numbers = to_dict(result, seconds) | {"settings": used_settings(self, molecule), "versions": versions()}
        print_table(numbers)
        if json_path:
            write_json(json_path, numbers)
        if save_path:
            write_atomically(save_path, to_hdf5(result, self.xc, versions()))
        return 0 if result.converged else NOT_CONVERGED
