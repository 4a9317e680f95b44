"""What a functional's density saves the teacher: Fock matrices until its SCF is converged, by how far that is.

The SCF starts from superposed atoms, from the densities of all evaluated runs of the study, and from those of the
functionals they are compared with. One iteration builds one Fock matrix of the teacher; it is converged to a threshold
ϑ with the first iteration whose energy changes by less than ϑ and whose orbital gradient is below √ϑ, PySCF's rule.

    python benchmarks/distill/builds.py STUDY --json docs/results/builds.json

Numbers are written as they come; a benchmark that was stopped goes on where it was.
"""

import argparse
import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

import jqc
from jqc.cli.calculation import set_up_jax
from jqc.data import open_store, run_tasks, with_progress
from jqc.distill.job import surveyed
from jqc.distill.labels import LabelSettings
from jqc.files import write_json
from jqc.scf import SCFSettings
from jqc.system import Molecule, System
from jqc.system.lengths import Lengths

THRESHOLDS = {f"{each:.0e}": each for each in (1e-5, 1e-6, 1e-7, 1e-8, 1e-9)}
"""Hartree, by what they are called; the last one is the default."""

ATOMS = "superposed atoms"

Counts = dict[str, dict[str, int]]
"""Fock matrices by start and threshold."""


@dataclass(frozen=True)
class Task:
    """A molecule, and the stores of densities to start from."""

    name: str
    molecule: Molecule
    settings: LabelSettings
    starts: Mapping[str, Path | None]
    room: Lengths


def run_task(task: Task) -> Counts:
    """Counts of every start that has a density of the molecule; superposed atoms need no store."""
    system, found = task.settings.system(task.molecule, task.room), {}
    for start, folder in task.starts.items():
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


def starts_of(study: Path, data: str) -> dict[str, Path | None]:
    """Stores of densities by the name of their functional: of comparisons, and of runs."""
    of_functionals = sorted(path for path in (study / "labels" / f"{data}.evaluations").glob("*") if path.is_dir())
    runs = {path.parents[1].name: path for path in sorted((study / "runs").glob(f"*/evaluation/{data}"))}
    return {ATOMS: None} | {path.name: path for path in of_functionals} | runs


def planned(study: Path, data: str, rows: Mapping[str, Counts]) -> dict[str, Task]:
    """What is still to be counted, by molecule, for those that every start has."""
    starts = starts_of(study, data)
    settings, known, rooms = surveyed(open_store(study / "labels" / data))
    evaluated = set.intersection(*(set(open_store(folder).names()) for folder in starts.values() if folder))
    tasks = {}
    for name in (name for name in rooms if name in evaluated):  # in order of size
        left = {start: folder for start, folder in starts.items() if start not in rows.get(name, {})}
        if left:
            tasks[name] = Task(name, known[name].molecule, settings, left, rooms[name])
    return tasks


def summary(rows: Mapping[str, Counts]) -> dict[str, dict[str, float]]:
    """Means over molecules that every start has."""
    starts = list(dict.fromkeys(start for row in rows.values() for start in row))
    common = [row for row in rows.values() if set(row) == set(starts)]
    mean = lambda start: {key: statistics.mean(row[start][key] for row in common) for key in THRESHOLDS}  # noqa: E731
    return {start: mean(start) | {"molecules": len(common)} for start in starts} if common else {}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="folder that holds labels/ and runs/")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--data", default="test", help="labels that the runs were evaluated on")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    set_up_jax()
    rows = json.loads(options.json.read_text())["rows"] if options.json.exists() else {}
    tasks = planned(options.study, options.data, rows)
    for outcome in with_progress(run_tasks(run_task, tasks, options.workers, set_up_jax), len(tasks), "molecules"):
        if outcome.value is None:
            raise SystemExit(f"{outcome.name}: {outcome.error}")
        rows[outcome.name] = rows.get(outcome.name, {}) | outcome.value
        about = {"jqc": version("jqc-jax"), "date": time.strftime("%Y-%m-%d")}
        write_json(options.json, about | {"summary": summary(rows), "rows": rows})
    for start, means in summary(rows).items():
        print(start, means)


if __name__ == "__main__":
    main()
