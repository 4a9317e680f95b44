"""What learned functionals owe their users: SCFs that converge, energies that add up, forces that are slopes.

Every molecule of the labels is solved from superposed atoms with the defaults of `jqc.scf`. Some of them are put 50 Å
apart in pairs: what is left of E(AB) − E(A) − E(B) without the interaction of their dipoles. Forces are compared with
differences of whole SCFs along a random direction, on quadrature points that stay where they are.

    python benchmarks/distill/robust.py jqc-xcdiff jqc-nn-mgga --data STUDY/labels/test --json docs/results/robust.json

Numbers are written as they come; a run that was stopped goes on where it was.
"""

import argparse
import json
import time
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

import jqc
from jqc.cli.calculation import set_up_jax
from jqc.data import open_store, run_tasks, with_progress
from jqc.distill.evaluate import subset
from jqc.distill.job import surveyed
from jqc.distill.labels import LabelSettings
from jqc.distill.subjects import subject_of
from jqc.files import write_json
from jqc.scf import SCFResult, SCFSettings
from jqc.system import Molecule
from jqc.system.basis import make_mole
from jqc.system.grid import molecular_grid
from jqc.system.lengths import Lengths
from jqc.units import ANGSTROM
from jqc.xc.base import Functional

APART = 50.0 / ANGSTROM
"""Bohr."""

TIGHT = SCFSettings(energy_tolerance=1e-10, residual_tolerance=1e-7)
STEP = 1e-4
"""Bohr, of a central difference: logarithms of Skala-mGGA tell slopes within 1e-3 bohr of a nucleus apart."""


@dataclass(frozen=True)
class Task:
    """One check of one functional: of a molecule alone, of two, or of forces."""

    check: str
    functional: Functional
    settings: LabelSettings
    molecules: tuple[Molecule, ...]
    room: Lengths | None = None


def solved(task: Task, molecule: Molecule, settings: SCFSettings, **options) -> SCFResult:
    return jqc.scf(task.settings.system(molecule, task.room, **options), task.functional, settings=settings)


def converges(task: Task) -> dict:
    """Whether the default solver converges, and how long it takes."""
    (molecule,) = task.molecules
    result = solved(task, molecule, SCFSettings())
    return {"converged": bool(result.converged), "iterations": int(result.iterations)}


def adds_up(task: Task) -> dict:
    """E(AB) − E(A) − E(B) less the energy of two dipoles, in hartree."""
    one, other = task.molecules
    away = np.array([APART, 0.0, 0.0])
    together = Molecule(
        np.concatenate([one.numbers, other.numbers]),  # pyright: ignore[reportArgumentType]
        np.concatenate([one.coords, np.asarray(other.coords) + away]),  # pyright: ignore[reportArgumentType]
    )
    a, b, both = (solved(task, molecule, TIGHT).check() for molecule in (one, other, together))
    dipoles = (np.dot(a.dipole, b.dipole) - 3 * a.dipole[0] * b.dipole[0]) / APART**3
    return {"left_over_hartree": float(both.energy - a.energy - b.energy - dipoles)}


def slopes(task: Task) -> dict:
    """Force along a random unit vector of all positions, less the slope of energies, in hartree/bohr."""
    (molecule,) = task.molecules
    mole = make_mole(molecule, task.settings.basis)
    grid = molecular_grid(mole, task.settings.grid_level, mole.nao)
    solve = partial(solved, task, settings=TIGHT, grid=(grid.coords, grid.weights))
    direction = np.random.default_rng(0).normal(size=(len(molecule.symbols), 3))
    direction /= np.linalg.norm(direction)
    force = np.sum(jqc.forces(solve(molecule).check()) * direction)

    ends = (np.asarray(molecule.coords) + sign * STEP * direction for sign in (1, -1))
    up, down = (solve(Molecule(molecule.numbers, end)).check().energy for end in ends)  # pyright: ignore[reportArgumentType]
    return {"force_error_hartree_per_bohr": float(force + (up - down) / (2 * STEP))}


CHECKS = {"scf": converges, "size": adds_up, "forces": slopes}


def run_task(task: Task) -> dict:
    """One check's numbers."""
    return CHECKS[task.check](task)


def planned(functional: Functional, data: Path, few: int, limit: int | None) -> dict[str, Task]:
    """Checks of one functional by name: every molecule, and `few` pairs and forces of the smallest."""
    settings, known, rooms = surveyed(open_store(data))
    molecules = {name: each.molecule for name, each in known.items()}
    chosen = subset(known, limit)
    small = [name for name in rooms if known[name].info.get("kind") == "minimum"][: 2 * few]
    make = partial(Task, functional=functional, settings=settings)
    tasks = {f"scf {n}": make("scf", molecules=(molecules[n],), room=rooms[n]) for n in rooms if n in chosen}
    for one, other in zip(small[::2], small[1::2], strict=False):
        tasks[f"size {one} {other}"] = make("size", molecules=(molecules[one], molecules[other]))
        tasks[f"forces {one}"] = make("forces", molecules=(molecules[one],), room=rooms[one])
    return tasks


def summary(rows: dict[str, dict]) -> dict:
    """What the checks say together."""
    found = [row for row in rows.values() if "converged" in row]
    largest = lambda key: max((abs(row[key]) for row in rows.values() if key in row), default=None)  # noqa: E731
    return {
        "molecules": len(found),
        "converged": sum(row["converged"] for row in found),
        "iterations": float(np.mean([row["iterations"] for row in found])) if found else None,
        "most_iterations": max((row["iterations"] for row in found), default=None),
        "left_over_hartree": largest("left_over_hartree"),
        "force_error_hartree_per_bohr": largest("force_error_hartree_per_bohr"),
        "failed": {name: row["error"] for name, row in rows.items() if "error" in row},
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("functionals", nargs="+", help="names, files or folders of training runs")
    parser.add_argument("--data", type=Path, required=True, help="labels whose molecules are taken")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="four molecules, one pair, one force")
    parser.add_argument("--limit", type=int, help="molecules at most")
    parser.add_argument("--few", type=int, default=3, help="pairs, and forces")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    if options.quick:
        options.limit, options.few = 4, 1
    set_up_jax()
    content = json.loads(options.json.read_text()) if options.json.exists() else {}
    for subject in (subject_of(text, options.data) for text in options.functionals):
        about = {"sha256": subject.sha256, "labels": open_store(options.data).settings}
        known = content.get(subject.name, {})
        rows = known.get("rows", {}) if {key: known.get(key) for key in about} == about else {}
        rows = {name: row for name, row in rows.items() if "error" not in row}
        tasks = planned(subject.functional, options.data, options.few, options.limit)
        tasks = {name: task for name, task in tasks.items() if name not in rows}
        outcomes = run_tasks(run_task, tasks, options.workers, set_up_jax)
        for outcome in with_progress(outcomes, len(tasks), subject.name):
            rows[outcome.name] = {"error": outcome.error} if outcome.value is None else outcome.value
            made = {"jqc": version("jqc-jax"), "date": time.strftime("%Y-%m-%d")}
            content[subject.name] = about | made | {"summary": summary(rows), "rows": rows}
            write_json(options.json, content)
        print(subject.name, summary(rows))


if __name__ == "__main__":
    main()
