"""Whole SCF jobs, jqc beside PySCF on the same cores: integrals, grid and iterations, with peak memory.

Every job runs in a process of its own, first PySCF, then jqc with an empty compilation cache (cold), jqc with the
cache that left (cached), and inside that process jqc again on slightly moved atoms, each run with the array shapes
of the one before (warm, median of several runs).
Both codes get the same geometry, basis, fitting set, grid level and thresholds.

    python benchmarks/bench_scf.py --json docs/results/bench_scf.json
    python benchmarks/bench_scf.py --quick
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring import environment, peak_gb, read_rows

from jqc.files import write_json

MOLECULES = Path(__file__).parents[1] / "examples" / "molecules"
SIZES = ("water", "ethanol", "benzene", "aspirin", "propranolol")
BASIS = "def2-svp"
AUXILIARY = "def2-universal-jkfit"
ENERGY_TOLERANCE, RESIDUAL_TOLERANCE = 1e-9, 3e-5


def moved(coords: np.ndarray, run: int) -> np.ndarray:
    """The geometry of one run: atoms moved by up to 0.002 bohr, so that no run repeats the last."""
    return coords + run * np.random.default_rng(run).uniform(-0.002, 0.002, coords.shape)


def run_pyscf(name: str, xc: str, repeats: int) -> dict:
    """Worker: the job in PySCF."""
    from pyscf import dft, gto

    import jqc

    molecule = jqc.Molecule.from_xyz(MOLECULES / f"{name}.xyz")
    records = []
    for run in range(repeats):
        start = time.perf_counter()
        atoms = list(zip(molecule.symbols, moved(np.asarray(molecule.coords), run), strict=True))
        mole = gto.M(atom=atoms, unit="Bohr", basis=BASIS, verbose=0)
        solver = dft.RKS(mole, xc=xc).density_fit(auxbasis=AUXILIARY)
        solver.grids.level = 3
        solver.conv_tol, solver.conv_tol_grad = ENERGY_TOLERANCE, RESIDUAL_TOLERANCE
        energy = solver.kernel()
        records.append({"seconds": time.perf_counter() - start, "energy": energy, "iterations": solver.cycles})
    return {"runs": records, "peak_gb": peak_gb()}


def run_jqc(name: str, xc: str, repeats: int) -> dict:
    """Worker: the job in jqc; the first run compiles or reads the cache."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import jqc
    from jqc.timing import stages

    molecule = jqc.Molecule.from_xyz(MOLECULES / f"{name}.xyz")
    settings = jqc.SCFSettings(energy_tolerance=ENERGY_TOLERANCE, residual_tolerance=RESIDUAL_TOLERANCE)
    records, shapes = [], None
    for run in range(repeats):
        start = time.perf_counter()
        with stages() as seconds:
            atoms = jqc.Molecule(molecule.numbers, moved(np.asarray(molecule.coords), run))
            system = jqc.build_system(atoms, BASIS, AUXILIARY, like=shapes)
            result = jqc.scf(system, xc, settings=settings).check()
        records.append(
            {
                "seconds": time.perf_counter() - start,
                "energy": result.energy,
                "iterations": result.iterations,
                "stages": {stage: round(value, 4) for stage, value in seconds.items()},
            }
        )
        shapes = jax.eval_shape(lambda system=system: system)
        del system, result  # the next run builds its own
    return {"runs": records, "peak_gb": peak_gb()}


def in_process(code: str, name: str, xc: str, repeats: int, threads: int, cache: str) -> dict:
    """Run a worker in a new process on a fixed set of cores; `wall` is all of it, interpreter and imports included."""
    variables = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [sys.executable, __file__, "--worker", code, name, xc, str(repeats)]
    cores = sorted(os.sched_getaffinity(0))[:threads]
    start = time.perf_counter()
    done = subprocess.run(
        command, env=variables, capture_output=True, text=True, preexec_fn=lambda: os.sched_setaffinity(0, cores)
    )
    wall = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{code} {name} {xc} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1]) | {"wall": wall}


def compare(name: str, xc: str, repeats: int, threads: int) -> dict:
    """One row: PySCF, cold, cached and warm jqc, and their ratios (above one: jqc is faster)."""
    with tempfile.TemporaryDirectory() as cache:
        reference = in_process("pyscf", name, xc, repeats, threads, cache)
        reference_once = in_process("pyscf", name, xc, 1, threads, cache) if repeats > 1 else reference
        cold = in_process("jqc", name, xc, 1, threads, cache)
        cached = in_process("jqc", name, xc, 1, threads, cache)
        warm = in_process("jqc", name, xc, repeats + 1, threads, cache)
    seconds = statistics.median(run["seconds"] for run in reference["runs"])
    warm_seconds = statistics.median(run["seconds"] for run in warm["runs"][1:])
    return {
        "molecule": name,
        "functional": xc,
        "repeats": repeats,
        "pyscf_s": seconds,
        "pyscf_process_s": reference_once["wall"],
        "cold_process_s": cold["wall"],
        "cached_process_s": cached["wall"],
        "warm_s": warm_seconds,
        "ratio_warm": seconds / warm_seconds,
        "ratio_cached_process": reference_once["wall"] / cached["wall"],
        "difference_uEh": (cold["runs"][0]["energy"] - reference_once["runs"][0]["energy"]) * 1e6,
        "iterations": cold["runs"][0]["iterations"],
        "pyscf_iterations": reference_once["runs"][0]["iterations"],
        "peak_gb": cold["peak_gb"],
        "cached_peak_gb": cached["peak_gb"],
        "warm_peak_gb": warm["peak_gb"],
        "pyscf_peak_gb": reference["peak_gb"],
        "stages_cold": cold["runs"][0]["stages"],
        "stages_cached": cached["runs"][0]["stages"],
        "stages_warm": warm["runs"][-1]["stages"],
    }


def show(rows: list[dict]) -> None:
    """One line per row."""
    print(
        f"{'molecule':12s} {'xc':6s} {'PySCF':>7s} {'warm':>7s} {'ratio':>6s} | {'PySCF process':>13s} {'cached':>7s} "
        f"{'ratio':>6s} {'cold':>7s} | {'peak GB':>7s} {'PySCF':>6s} | {'µEh':>8s} {'iter':>5s}"
    )
    for r in rows:
        print(
            f"{r['molecule']:12s} {r['functional']:6s} {r['pyscf_s']:7.2f} {r['warm_s']:7.2f} {r['ratio_warm']:6.2f} | "
            f"{r['pyscf_process_s']:13.2f} {r['cached_process_s']:7.2f} {r['ratio_cached_process']:6.2f} "
            f"{r['cold_process_s']:7.2f} | {r['peak_gb']:7.2f} {r['pyscf_peak_gb']:6.2f} | "
            f"{r['difference_uEh']:8.1e} {r['iterations']:2d}/{r['pyscf_iterations']:2d}"
        )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="water and ethanol, one repeat; under two minutes")
    parser.add_argument("--json", type=Path, help="write the rows here; rows of other molecules that are there stay")
    parser.add_argument("--molecules", nargs="+", default=SIZES)
    parser.add_argument("--functionals", nargs="+", default=("pbe", "b3lyp"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        code, name, xc, repeats = options.worker
        print(json.dumps((run_jqc if code == "jqc" else run_pyscf)(name, xc, int(repeats))))
        return
    if options.quick:
        options.molecules, options.repeats = ("water", "ethanol"), 1
    rows = read_rows(options.json, "molecule", "functional")
    for name in options.molecules:
        for xc in options.functionals:
            rows[name, xc] = compare(name, xc, options.repeats, options.threads)
            show([rows[name, xc]])
            if options.json:
                write_json(options.json, {"environment": environment(options.threads), "rows": list(rows.values())})
    print()
    show(list(rows.values()))


if __name__ == "__main__":
    main()
