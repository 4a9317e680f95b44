"""What a total energy's error is made of: the functional, the quadrature it learned on, its own density.

    E_θ[P_θ] − E_ref[P*] = (E_θ − E_ref)[P*] compact + (E_θ − E_ref)[P*] (fine − compact) + (E_θ[P_θ] − E_θ[P*]) fine

The first part is what training makes small, at the teacher's densities P* and on its compact quadrature; the second is
what a fine one, on which energies are compared, adds; the third is what is left when the density relaxes, −E_ρ or so
for two functionals with like Hessians.

    python benchmarks/distill/parts.py STUDY --json docs/results/parts.json

Numbers are written as they come; a benchmark that was stopped goes on where it was.
"""

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jqc
from jqc.cli.calculation import set_up_jax
from jqc.data import open_store, run_tasks, with_progress
from jqc.distill.difference import Difference
from jqc.distill.exchange import stored_exchange
from jqc.distill.fine import fine_quadrature, refinement, rounded
from jqc.distill.job import surveyed
from jqc.distill.labels import LabelSettings
from jqc.files import write_json
from jqc.system import Molecule
from jqc.system.lengths import Lengths
from jqc.system.padding import pad_axis
from jqc.system.sampled import Sampled, sample
from jqc.typing import Array, Float
from jqc.xc.base import Functional
from jqc.xc.quadrature import features, read_by, xc_energy

PARTS = ("functional", "quadrature", "relaxation")

Parts = dict[str, dict[str, float]]
"""Hartree, by run and part."""


@dataclass(frozen=True)
class Task:
    """A labelled molecule, and the folders of runs that were evaluated on it."""

    name: str
    molecule: Molecule
    settings: LabelSettings
    labels: Path
    runs: Mapping[str, Path]
    room: Lengths


def run_task(task: Task) -> Parts:
    """Parts of the error of every run."""
    label, settings = open_store(task.labels).read(task.name).arrays, task.settings
    compact = rounded(sample(task.molecule, settings.basis, None, task.room))
    fine = fine_quadrature(task.molecule, settings.basis, settings.grid_level, task.room)
    n, exchange, found = task.room.orbitals, stored_exchange(label), {}
    dm = jnp.asarray(pad_axis(pad_axis(label["dm"], n, -1), n, -2))
    for name, folder in task.runs.items():
        difference = Difference(jqc.functional(str(folder)), jqc.functional(settings.functional))
        exact = sum(share * float(exchange[omega].energies[0]) for omega, share in difference.exchange)
        learned = exact + float(energy(difference, compact, dm))
        quadrature = float(refinement(difference, compact, fine, dm))
        total = float(open_store(folder / "evaluation" / task.labels.name).read(task.name).arrays["energy_error"])
        found[name] = dict(zip(PARTS, (learned, quadrature, total - learned - quadrature), strict=True))
    return found


@jax.jit
def energy(functional: Functional, orbitals: Sampled, dm: Float[Array, "spin ao ao"]) -> Float[Array, ""]:
    """The part without exact exchange, in hartree."""
    return xc_energy(functional, orbitals, features(orbitals, dm, read_by(functional)))


def planned(study: Path, data: str, rows: Mapping[str, Parts]) -> dict[str, Task]:
    """What is still to be computed, by molecule, for those that every run was evaluated on."""
    pages = sorted((study / "runs").glob(f"*/evaluation/{data}.json"))
    runs = {path.parents[1].name: path.parents[1] for path in pages}
    if not runs:
        raise SystemExit(f"no run in {study / 'runs'} was evaluated on {data}; run benchmarks/distill/run.py.")
    labels = study / "labels" / data
    settings, known, rooms = surveyed(open_store(labels))
    evaluated = set.intersection(*(set(open_store(run / "evaluation" / data).names()) for run in runs.values()))
    tasks = {}
    for name in (name for name in rooms if name in evaluated):  # in order of size
        left = {run: folder for run, folder in runs.items() if run not in rows.get(name, {})}
        if left:
            tasks[name] = Task(name, known[name].molecule, settings, labels, left, rooms[name])
    return tasks


def summary(rows: Mapping[str, Parts]) -> dict[str, dict[str, float]]:
    """Mean magnitude and mean of every part in milli-hartree."""
    found = {}
    for run in sorted({run for row in rows.values() for run in row}):
        parts = np.array([[1e3 * row[run][part] for part in PARTS] for row in rows.values() if run in row])
        table = dict(zip(PARTS, parts.T, strict=True)) | {"total": parts.sum(axis=1)}
        found[run] = {f"{part}_mean": float(each.mean()) for part, each in table.items()}
        found[run] |= {f"{part}_mean_magnitude": float(abs(each).mean()) for part, each in table.items()}
        found[run]["molecules"] = len(parts)
    return found


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
    for run, means in summary(rows).items():
        print(run, {name: round(value, 2) for name, value in means.items()})


if __name__ == "__main__":
    main()
