"""Time and memory of one SCF against size: straight alkanes, PBE, jqc beside PySCF on the same cores.

Every job is a process of its own with cached programs, and whole: integrals, grid and iterations. Both codes get the
same geometry, basis, fitting set for the Coulomb energy, grid level and thresholds; jqc is granted the memory of
`--memory`, PySCF takes what it asks for (4 GB, then it goes to disk). Exponents are slopes of logarithms against atoms.

    python benchmarks/bench_size.py --json docs/results/bench_size.json
    python benchmarks/bench_size.py --quick

Rows that the JSON file holds already are kept, so that a run that was stopped goes on.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from alkanes import alkane
from measuring import environment, in_process, peak_gb, read_rows

from jqc.files import write_json

SIZES = (6, 10, 16, 24, 33, 49)
"""Carbon atoms: 20 to 149 atoms."""

BASIS, AUXILIARY, GRID_LEVEL = "def2-svp", "def2-universal-jfit", 3
ENERGY_TOLERANCE, RESIDUAL_TOLERANCE = 1e-9, 3e-5


def run_jqc(carbons: int, memory: str) -> dict:
    """The job in jqc; the first of two compiles or reads its programs."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import jqc
    from jqc.process import keep_freed_memory
    from jqc.timing import stages

    keep_freed_memory()
    molecule = alkane(carbons)
    settings = jqc.SCFSettings(energy_tolerance=ENERGY_TOLERANCE, residual_tolerance=RESIDUAL_TOLERANCE)
    start = time.perf_counter()
    with stages() as seconds:
        system = jqc.build_system(molecule, BASIS, grid_level=GRID_LEVEL, exchange="none", memory=memory)
        result = jqc.scf(system, "pbe", settings=settings).check()
    spent = time.perf_counter() - start
    return {
        "seconds": spent - seconds["compile"],
        "stages": {name: round(value, 2) for name, value in seconds.items()},
        "peak_gb": peak_gb(),
        "energy": result.energy,
        "iterations": result.iterations,
        "orbitals": int(system.n_ao),
        "atoms": len(molecule.symbols),
        "factor": type(system.repulsion[0.0]).__name__,
    }


def run_pyscf(carbons: int, memory: str) -> dict:
    """The job in PySCF."""
    from pyscf import dft, gto

    molecule = alkane(carbons)
    start = time.perf_counter()
    atoms = list(zip(molecule.symbols, np.asarray(molecule.coords), strict=True))
    mole = gto.M(atom=atoms, unit="Bohr", basis=BASIS, verbose=0)
    solver = dft.RKS(mole, xc="pbe").density_fit(auxbasis=AUXILIARY)
    solver.grids.level = GRID_LEVEL
    solver.conv_tol, solver.conv_tol_grad = ENERGY_TOLERANCE, RESIDUAL_TOLERANCE
    energy = solver.kernel()
    return {
        "seconds": time.perf_counter() - start,
        "peak_gb": peak_gb(),
        "energy": energy,
        "iterations": solver.cycles,
        "atoms": len(molecule.symbols),
    }


WORKERS = {"jqc": run_jqc, "pyscf": run_pyscf}


def measured(code: str, carbons: int, memory: str) -> dict:
    """A row; jqc runs once before, for its programs."""
    if code == "jqc":
        in_process(__file__, code, carbons, memory)
    return {"code": code, "carbons": carbons} | in_process(__file__, code, carbons, memory)


def exponent(rows: list[dict], quantity: str) -> float:
    """Slope of a quantity's logarithm against that of atoms, from the second size on."""
    rows = rows[1:]
    return float(np.polyfit(np.log([row["atoms"] for row in rows]), np.log([row[quantity] for row in rows]), 1)[0])


def summary(rows: dict[tuple, dict]) -> dict:
    """Exponents of both codes over the sizes that both have."""
    sizes = sorted({carbons for _, carbons in rows if all((code, carbons) in rows for code in WORKERS)})
    found: dict = {"carbons": sizes}
    for code in WORKERS if len(sizes) > 2 else ():
        of_code = [rows[code, carbons] for carbons in sizes]
        found[code] = {quantity: round(exponent(of_code, quantity), 2) for quantity in ("seconds", "peak_gb")}
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="up to 20 atoms; under two minutes")
    parser.add_argument("--json", type=Path, help="write the rows here; rows that are there stay")
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, metavar="CARBONS")
    parser.add_argument("--codes", nargs="+", choices=tuple(WORKERS), default=tuple(WORKERS))
    parser.add_argument("--memory", default="8GB", help="granted to jqc")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        code, carbons, memory = options.worker
        print(json.dumps(WORKERS[code](int(carbons), memory)))
        return
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path.home() / ".cache" / "jqc" / "bench"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    sizes = (2, 4, 6) if options.quick else options.sizes
    rows = read_rows(options.json, "code", "carbons")
    for carbons in sizes:
        for code in options.codes:
            if (code, carbons) not in rows:
                rows[code, carbons] = measured(code, carbons, options.memory)
            row = rows[code, carbons]
            print(f"{code:6s} {row['atoms']:4d} atoms {row['seconds']:8.1f} s {row['peak_gb']:6.2f} GB", flush=True)
            results = {"environment": environment(), "memory": options.memory, "exponents": summary(rows)}
            if options.json:
                write_json(options.json, results | {"rows": list(rows.values())})
    print(json.dumps(summary(rows)), file=sys.stdout)


if __name__ == "__main__":
    main()
