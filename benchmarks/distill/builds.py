"""What a functional's density saves the teacher: Fock matrices until its SCF is converged, by how far that is.

The SCF starts from superposed atoms, from the densities of all evaluated runs of the study, and from those of the
functionals they are compared with. One iteration builds one Fock matrix of the teacher; it is converged to a threshold
ϑ with the first iteration whose energy changes by less than ϑ and whose orbital gradient is below √ϑ, PySCF's rule.

    python benchmarks/distill/builds.py STUDY --json docs/results/builds.json

Numbers are written as they come; a benchmark that was stopped goes on where it was.
"""

import statistics
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from by_molecule import Stores, Task, evaluations, resume

import jqc
from jqc.data import open_store
from jqc.scf import SCFSettings
from jqc.system import System

THRESHOLDS = {f"{each:.0e}": each for each in (1e-5, 1e-6, 1e-7, 1e-8, 1e-9)}
"""Hartree, by what they are called; the last one is the default."""

ATOMS = "superposed atoms"

Counts = dict[str, dict[str, int]]
"""Fock matrices by start and threshold."""


def run_task(task: Task) -> Counts:
    """Counts of every start that has a density of the molecule; superposed atoms need no store."""
    system, found = task.settings.system(task.molecule, task.room), {}
    for start, folder in task.stores.items():
        arrays = {} if folder is None else open_store(folder).read(task.name).arrays
        if folder is None or "dm" in arrays:
            found[start] = counted(system, task.settings.functional, arrays.get("dm"))
    return found


def counted(system: System, teacher: str, dm: np.ndarray | None) -> dict[str, int]:
    """Iterations to each threshold, of one SCF to the last one."""
    steps: list[tuple[float, float]] = []
    last = min(THRESHOLDS.values())
    tight = SCFSettings(energy_tolerance=last, residual_tolerance=last**0.5)
    watch = lambda iteration, energy, change, residual: steps.append((change, residual))  # noqa: E731
    guess = "minao" if dm is None else dm[0] if len(dm) == 1 else dm
    jqc.scf(system, teacher, guess, settings=tight, progress=watch).check()
    met = lambda each: [abs(change) < each and residual < each**0.5 for change, residual in steps]  # noqa: E731
    return {key: met(each).index(True) + 1 for key, each in THRESHOLDS.items()}


def starts_of(study: Path, data: str) -> Stores:
    """Stores of densities by the name of their functional: of comparisons, and of runs."""
    of_functionals = sorted(path for path in (study / "labels" / f"{data}.evaluations").glob("*") if path.is_dir())
    return {ATOMS: None} | {path.name: path for path in of_functionals} | evaluations(study, data)


def summary(rows: Mapping[str, Counts]) -> dict[str, dict[str, float]]:
    """Means over molecules that every start has."""
    starts = list(dict.fromkeys(start for row in rows.values() for start in row))
    common = [row for row in rows.values() if set(row) == set(starts)]
    mean = lambda start: {key: statistics.mean(row[start][key] for row in common) for key in THRESHOLDS}  # noqa: E731
    return {start: mean(start) | {"molecules": len(common)} for start in starts} if common else {}


if __name__ == "__main__":
    resume(__doc__, starts_of, run_task, summary)
