"""`jqc scf`: solve the Kohn–Sham equations of a molecule in a file."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from jqc.cli.checkpoint import SUFFIXES, read_dm, to_hdf5
from jqc.cli.files import writable, write_atomically
from jqc.cli.info import versions
from jqc.cli.summary import print_table, to_dict
from jqc.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from jqc.scf import SCFResult
    from jqc.system import Molecule

NOT_CONVERGED = 3
"""Exit code of a calculation that stopped before its thresholds."""


@dataclass(frozen=True)
class ScfCommand:
    """Solve the Kohn–Sham equations of a molecule.

    Exit code: 0 converged, 3 not converged, 2 bad input.
    """

    file: Annotated[Positional[Path], arg(metavar="FILE")]
    """Geometry in XYZ or extended-XYZ format, in ångström; the first frame."""
    xc: Annotated[str, arg(metavar="NAME")] = "pbe"
    """Functional: pbe, b3lyp, r2scan, cam-b3lyp, ..., or a sum as "0.5*hf + 0.5*slater, lyp"."""
    basis: Annotated[str, arg(metavar="NAME")] = "def2-svp"
    """Orbital basis."""
    aux_basis: Annotated[str | None, arg(metavar="NAME")] = None
    """Fitting set; None chooses one for the orbital basis."""
    charge: Annotated[int | None, arg(metavar="INT")] = None
    """Total charge; None takes charge= in the file's comment line, else 0."""
    spin: Annotated[int | None, arg(metavar="INT")] = None
    """Unpaired electrons (2S); None takes spin= in the file's comment line, else 0."""
    grid_level: Annotated[int, arg(metavar="0-9")] = 3
    """Quadrature grid, from coarse to fine."""
    coulomb: Literal["df", "exact"] = "df"
    """Two-electron integrals: density fitting, or exact."""
    guess: Annotated[str, arg(metavar="minao|atom|core|PATH.h5")] = "minao"
    """Density to start from: superposed atoms, bare nuclei, or a file written with --save."""
    max_iterations: Annotated[int, arg(metavar="INT")] = 100
    """Iterations after which to give up."""
    json: Annotated[Path | None, arg(metavar="OUT.json")] = None
    """Write the results here as JSON."""
    save: Annotated[Path | None, arg(metavar="OUT.h5")] = None
    """Write density, orbitals and geometry here as HDF5."""

    def run(self) -> int:
        """Solve, print, write.

        Raises:
            InputError: something given cannot be used; no file has been touched.
        """
        started = time.perf_counter()
        json_path, save_path = _outputs(self.file, self.json, self.save)
        _set_up_jax()
        molecule, guess = _inputs(self)
        result, seconds = _solve(self, molecule, guess)
        seconds["total"] = time.perf_counter() - started
        numbers = to_dict(result, seconds) | {"settings": _settings(self, molecule), "versions": versions()}
        print_table(numbers)
        if json_path:
            write_atomically(json_path, (json.dumps(numbers, indent=2, allow_nan=False) + "\n").encode())
        if save_path:
            write_atomically(save_path, to_hdf5(result, self.xc, versions()))
        return 0 if result.converged else NOT_CONVERGED


def _outputs(source: Path, *paths: Path | None) -> list[Path | None]:
    """Files to write, checked: writable, and neither each other nor the geometry."""
    targets = [path and writable(path) for path in paths]
    given = [path for path in (Path(os.path.realpath(source)), *targets) if path]
    for at, path in enumerate(given):
        if path in given[:at]:
            raise InputError(f"FILE, --json and --save name {path.name} twice; give a path for each.")
    return targets


def _set_up_jax() -> None:
    """Double precision, before anything is computed, and the compilation cache."""
    import jax

    from jqc.cli.cache import use_compilation_cache

    jax.config.update("jax_enable_x64", True)
    use_compilation_cache()


def _inputs(command: ScfCommand) -> "tuple[Molecule, str | np.ndarray]":
    """Molecule and density to start from."""
    from jqc.scf.guess import GUESSES
    from jqc.system.molecule import Molecule

    molecule = Molecule.from_xyz(command.file, command.charge, command.spin)
    if command.guess in GUESSES:
        return molecule, command.guess
    if not command.guess.lower().endswith(SUFFIXES):
        raise InputError(f"--guess {command.guess} is unknown; choose {', '.join(GUESSES)} or a file PATH.h5.")
    return molecule, read_dm(Path(command.guess), molecule, command.basis)


def _solve(
    command: ScfCommand, molecule: "Molecule", guess: "str | np.ndarray"
) -> "tuple[SCFResult, dict[str, float]]":
    """The result, with a line per iteration, and the seconds spent by stage."""
    from jqc.scf import scf
    from jqc.system import build_system
    from jqc.timing import stages
    from jqc.xc import functional as named_functional

    functional = named_functional(command.xc)
    with stages() as seconds:
        system = build_system(
            molecule, command.basis, command.aux_basis, coulomb=command.coulomb, grid_level=command.grid_level
        )
        print(f"{'iteration':>9} {'energy / Eh':>18} {'change':>10} {'residual':>10}", flush=True)
        result = scf(system, functional, guess, max_iterations=command.max_iterations, progress=_print_iteration)
    return result, dict(seconds)


def _print_iteration(iteration: int, energy: float, energy_change: float, residual: float) -> None:
    print(f"{iteration:>9} {energy:>18.10f} {energy_change:>10.1e} {residual:>10.1e}", flush=True)


def _settings(command: ScfCommand, molecule: "Molecule") -> dict[str, str | int]:
    """What was computed, by the names of the options."""
    options = ("basis", "grid_level", "coulomb", "guess", "max_iterations")
    return {
        "file": str(command.file),
        "functional": command.xc,
        **{option: getattr(command, option) for option in options},
        "charge": molecule.charge,
        "spin": molecule.spin,
    }
