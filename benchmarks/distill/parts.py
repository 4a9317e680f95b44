"""What a total energy's error is made of: the functional, the quadrature it learned on, its own density.

    E_θ[P_θ] − E_ref[P*] = (E_θ − E_ref)[P*] compact + (E_θ − E_ref)[P*] (fine − compact) + (E_θ[P_θ] − E_θ[P*]) fine

The first part is what training makes small, at the teacher's densities P* and on its compact quadrature; the second is
what a fine one, on which energies are compared, adds; the third is what is left when the density relaxes, −E_ρ or so
for two functionals with like Hessians.

    python benchmarks/distill/parts.py STUDY --json docs/results/parts.json

Numbers are written as they come; a benchmark that was stopped goes on where it was.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from by_molecule import Task, evaluations, resume

import jqc
from jqc.data import open_store
from jqc.distill.difference import Difference
from jqc.distill.exchange import stored_exchange
from jqc.distill.fine import energy_on, fine_quadrature, rounded
from jqc.system.padding import pad_axis
from jqc.system.sampled import sample

PARTS = ("functional", "quadrature", "relaxation")

Parts = dict[str, dict[str, float]]
"""Hartree, by run and part."""


def run_task(task: Task) -> Parts:
    """Parts of the error of every run."""
    label, settings = open_store(task.labels).read(task.name).arrays, task.settings
    compact = rounded(sample(task.molecule, settings.basis, None, task.room))
    fine = fine_quadrature(task.molecule, settings.basis, settings.grid_level, task.room)
    n, exchange, found = task.room.orbitals, stored_exchange(label), {}
    dm = jnp.asarray(pad_axis(pad_axis(label["dm"], n, -1), n, -2))
    for name, store in task.stores.items():
        assert store is not None
        difference = Difference(jqc.functional(str(store.parents[1])), jqc.functional(settings.functional))
        exact = sum(share * float(exchange[omega].energies[0]) for omega, share in difference.exchange)
        rough, smooth = (float(energy_on(difference, points, dm)) for points in (compact, fine))
        learned, quadrature = exact + rough, smooth - rough
        total = open_store(store).read(task.name).arrays.get("energy_error")
        if total is None:  # its SCF had not converged
            continue
        found[name] = dict(zip(PARTS, (learned, quadrature, float(total) - learned - quadrature), strict=True))
    return found


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


if __name__ == "__main__":
    resume(__doc__, evaluations, run_task, summary)
