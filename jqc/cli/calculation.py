"""What every command that solves a molecule shares: its options, and the way from them to a result."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, arg

from jqc.cli.checkpoint import SUFFIXES, read_dm
from jqc.errors import InputError
from jqc.files import writable
from jqc.process import KEPT, keep_freed_memory

if TYPE_CHECKING:
    import numpy as np

    from jqc.scf import SCFResult
    from jqc.system import Molecule, System

NOT_CONVERGED = 3
"""Exit code of a calculation that stopped before its thresholds."""


@dataclass(frozen=True)
class Calculation:
    """Options of a Kohn–Sham calculation."""

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
    exchange: Literal["df", "grid", "none"] = "df"
    """Exact exchange: density fitting, seminumerical on a grid, or none (a pure functional, a smaller fitting set)."""
    precision: Literal["double", "single"] = "double"
    """Of orbitals on the grid; energies are evaluated in double precision at the end."""
    memory: Annotated[str | None, arg(metavar="SIZE")] = None
    """Memory that the calculation may take, such as 8GB; what does not fit is streamed from disk, or refused."""
    guess: Annotated[str, arg(metavar="minao|atom|core|PATH.h5")] = "minao"
    """Density to start from: superposed atoms, bare nuclei, or a file written with --save."""
    solver: Literal["auto", "diis", "newton", "direct"] = "auto"
    """How to iterate: DIIS with Newton where it stalls, or one of them alone, or direct minimisation."""
    max_iterations: Annotated[int, arg(metavar="INT")] = 100
    """Iterations after which to give up."""
    json: Annotated[Path | None, arg(metavar="OUT.json")] = None
    """Write the results here as JSON."""


def outputs(source: Path, **paths: Path | None) -> list[Path | None]:
    """Files to write, by option, checked: writable, and neither each other nor the geometry."""
    targets = [path and writable(path) for path in paths.values()]
    given = [path for path in (Path(os.path.realpath(source)), *targets) if path]
    options = " and ".join(("FILE, " + ", ".join(f"--{name}" for name in paths)).rsplit(", ", 1))
    for at, path in enumerate(given):
        if path in given[:at]:
            raise InputError(f"{options} name {path.name} twice; give a path for each.")
    return targets


def set_up_jax(kept: int = KEPT) -> None:
    """Double precision and memory that is kept, before anything is computed, and the compilation cache."""
    import jax

    from jqc.cli.cache import use_compilation_cache

    keep_freed_memory(kept)
    jax.config.update("jax_enable_x64", True)
    use_compilation_cache()


def inputs(options: Calculation) -> "tuple[Molecule, str | np.ndarray]":
    """Molecule and density to start from."""
    from jqc.scf.guess import GUESSES
    from jqc.system.molecule import Molecule

    molecule = Molecule.from_xyz(options.file, options.charge, options.spin)
    if options.guess in GUESSES:
        return molecule, options.guess
    if not options.guess.lower().endswith(SUFFIXES):
        raise InputError(f"--guess {options.guess} is unknown; choose {', '.join(GUESSES)} or a file PATH.h5.")
    return molecule, read_dm(Path(options.guess), molecule, options.basis)


def build(options: Calculation, molecule: "Molecule") -> "System":
    """The system that the options ask for."""
    from jqc.system import build_system

    return build_system(molecule, **system_options(options))


def system_options(options: Calculation) -> dict[str, Any]:
    """What decides a system besides its molecule, by the names that `build_system` has for it."""
    names = ("basis", "aux_basis", "coulomb", "grid_level", "exchange", "precision", "memory")
    return {name: getattr(options, name) for name in names}


def solve(
    options: Calculation, molecule: "Molecule", guess: "str | np.ndarray", moving: bool = False, **settings: float
) -> "SCFResult":
    """The result, with a line per iteration; `moving` where derivatives by nuclear positions are to follow."""
    from jqc.scf import SCFSettings, scf
    from jqc.scf.repulsion import check_exchange
    from jqc.xc import functional as named_functional

    functional = named_functional(options.xc)
    check_exchange(functional, options.exchange, moving)
    system = build(options, molecule)
    print(f"{'iteration':>9} {'energy / Eh':>18} {'change':>10} {'residual':>10}", flush=True)
    return scf(
        system,
        functional,
        guess,
        solver=options.solver,
        max_iterations=options.max_iterations,
        settings=SCFSettings(**settings),  # pyright: ignore[reportArgumentType]
        progress=_print_iteration,
    )


def _print_iteration(iteration: int, energy: float, energy_change: float, residual: float) -> None:
    print(f"{iteration:>9} {energy:>18.10f} {energy_change:>10.1e} {residual:>10.1e}", flush=True)


def used_settings(options: Calculation, molecule: "Molecule") -> dict[str, Any]:
    """What was computed, by the names of the options."""
    names = ("basis", "grid_level", "coulomb", "exchange", "precision", "memory", "guess", "solver", "max_iterations")
    return {
        "file": str(options.file),
        "functional": options.xc,
        **{name: getattr(options, name) for name in names},
        "charge": molecule.charge,
        "spin": molecule.spin,
    }


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Seconds by stage, and in all as `total`, of what happens inside."""
    import time

    from jqc.timing import stages

    started = time.perf_counter()
    with stages() as seconds:
        yield seconds
    seconds["total"] = time.perf_counter() - started
