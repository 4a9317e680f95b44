"""Exact exchange in its forms: fitted with integrals in memory or streamed, and seminumerical, and what each costs.

For each molecule a B3LYP SCF and then one K of its density, median of several; errors are against fitted exchange,
whose own are those of its fitting set. PySCF's fitted K is there for comparison. The last row of each molecule is of a
quadrature in single precision: the SCF's time, and how far its energy and forces are off.

    python benchmarks/bench_exchange.py --json docs/results/bench_exchange.json
    python benchmarks/bench_exchange.py --quick
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

import numpy as np
from alkanes import alkane
from measuring import environment, in_process, peak_gb, read_rows

from jqc.files import write_json

MOLECULES = Path(__file__).parents[1] / "examples" / "molecules"
FORMS = {
    "fitted": {},
    "streamed": {"stream": True},
    "grid": {"exchange": "grid"},
    "single": {"precision": "single"},
}
"""Options of `build_system`; `stream` grants no memory for integrals."""

REPEATS = 3


def molecule_of(name: str):
    """A molecule of the examples, or an alkane such as c20."""
    import jqc

    path = MOLECULES / f"{name}.xyz"
    return jqc.Molecule.from_xyz(path) if path.exists() else alkane(int(name[1:]))


def median_seconds(function) -> float:
    """Median of several calls, after one."""
    function()
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def run(name: str, form: str) -> dict:
    """Worker: one form in this process."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp

    import jqc
    from jqc.process import keep_freed_memory, single_threaded_blas
    from jqc.scf.repulsion import exchange_matrix, exchange_operator
    from jqc.system import build
    from jqc.system.budget import Plan, orbital_budget

    keep_freed_memory()
    options = dict(FORMS[form])
    if options.pop("stream", False):
        build.plan_for = lambda *_: Plan("streamed", orbital_budget())
    molecule = molecule_of(name)
    jqc.scf(jqc.build_system(molecule, **options), "b3lyp")  # compiles
    start = time.perf_counter()
    system = jqc.build_system(molecule, **options)
    result = jqc.scf(system, "b3lyp").check()
    seconds = time.perf_counter() - start
    peak = peak_gb()
    occupied = np.zeros((system.n_padded, result.mo_coeff.shape[1]))
    occupied[: int(system.n_ao)] = np.asarray(result.mo_coeff) * np.sqrt(np.asarray(result.occupations))
    occupied = jnp.asarray(occupied[:, : int(system.electrons[0])])
    build = jax.jit(exchange_matrix)
    operator = exchange_operator(result.system, 0.0)
    with single_threaded_blas():
        k_seconds = median_seconds(lambda: build(occupied, occupied @ occupied.T, operator).block_until_ready())
    return {
        "scf_s": seconds,
        "k_s": k_seconds,
        "peak_gb": peak,
        "energy": result.energy,
        "iterations": result.iterations,
        "atoms": len(molecule.symbols),
        "orbitals": int(system.n_ao),
        "forces": None if form == "grid" else jqc.forces(result).tolist(),
    }


def run_pyscf(name: str) -> dict:
    """Worker: fitted K of PySCF."""
    from pyscf import dft, gto

    molecule = molecule_of(name)
    atoms = list(zip(molecule.symbols, np.asarray(molecule.coords), strict=True))
    mole = gto.M(atom=atoms, unit="Bohr", basis="def2-svp", verbose=0)
    solver = dft.RKS(mole, xc="b3lyp").density_fit(auxbasis="def2-universal-jkfit")
    start = time.perf_counter()
    solver.kernel()
    seconds = time.perf_counter() - start
    dm = solver.make_rdm1()
    k_seconds = median_seconds(lambda: solver.with_df.get_jk(dm, hermi=1, with_j=False))
    return {"scf_s": seconds, "k_s": k_seconds, "peak_gb": peak_gb(), "energy": solver.e_tot}


def row_of(name: str, form: str, reference: dict | None) -> dict:
    """A row with errors against fitted exchange in double precision."""
    found = in_process(__file__, name, form)
    forces = found.pop("forces", None)
    row = {"molecule": name, "form": form} | found
    if reference is not None:
        row["difference_uEh"] = (found["energy"] - reference["energy"]) * 1e6
        if forces is not None:
            row["forces_error"] = float(np.abs(np.subtract(forces, reference["forces"])).max())
    elif forces is not None:
        row["forces"] = forces
    return row


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="water alone; under two minutes")
    parser.add_argument("--json", type=Path, help="write the rows here; rows that are there stay")
    parser.add_argument("--molecules", nargs="+", default=("ethanol", "aspirin", "c20"))
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        name, form = options.worker
        print(json.dumps(run_pyscf(name) if form == "pyscf" else run(name, form)))
        return
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path.home() / ".cache" / "jqc" / "bench"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    rows = read_rows(options.json, "molecule", "form")
    for name in ("water",) if options.quick else options.molecules:
        for form in ("fitted", "pyscf", *list(FORMS)[1:]):
            if (name, form) not in rows:
                rows[name, form] = row_of(name, form, rows.get((name, "fitted")))
            row = rows[name, form]
            print(
                f"{name:9s} {form:9s} SCF {row['scf_s']:7.2f} s, K {row['k_s']:7.3f} s, {row['peak_gb']:5.2f} GB, "
                f"{row.get('difference_uEh', 0.0):+10.4f} µEh, forces {row.get('forces_error', 0.0):.1e}",
                flush=True,
            )
            if options.json:
                write_json(options.json, {"environment": environment(), "rows": list(rows.values())})


if __name__ == "__main__":
    main()
