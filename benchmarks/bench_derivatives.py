"""Derivatives beside PySCF's on the same cores: forces, excited states, and what products cost in Fock builds.

Medians of several warm runs; the SCF itself is not counted.

    python benchmarks/bench_derivatives.py --json docs/results/bench_derivatives.json
"""

import argparse
import itertools
import json
import os
import statistics
import time
from pathlib import Path

import jax
import numpy as np
from pyscf import dft, gto

import jqc
from jqc.process import single_threaded_blas
from jqc.response import excitations, forces
from jqc.scf import grassmann
from jqc.scf.kernel import reference
from jqc.system import keep_orbitals
from jqc.units import ELECTRONVOLT

MOLECULES = Path(__file__).parents[1] / "examples" / "molecules"


def median_seconds(function, repeats: int) -> float:
    """Median time of a call, after one that compiles."""
    jax.block_until_ready(function())
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function())
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def compare(name: str, xc: str, repeats: int) -> dict:
    """One row: forces by both codes, and a Hessian product in Fock builds."""
    molecule = jqc.Molecule.from_xyz(MOLECULES / f"{name}.xyz")
    settings = jqc.SCFSettings(residual_tolerance=1e-6)
    result = jqc.scf(jqc.build_system(molecule, "def2-svp"), xc, settings=settings).check()
    solver = dft.RKS(_mole(molecule), xc=xc).density_fit(auxbasis="def2-universal-jkfit")
    solver.grids.level, solver.conv_tol_grad = 3, 1e-6
    solver.kernel(np.asarray(result.dm))
    reference_forces = -solver.nuc_grad_method().kernel()
    ours = forces(result)

    system, functional = keep_orbitals(result.system), result.functional
    at = grassmann.point(system, result.mo_coeff)
    x = jax.random.normal(jax.random.key(0), (1, at.virtual.shape[-1], at.occupied.shape[-1]))
    fock = jax.jit(lambda system, dm, occupied: reference(functional, system, dm, occupied).fock)
    product = jax.jit(grassmann.hvp_from)
    held = jax.jit(grassmann.reference_at)(functional, system, at)
    occupied = np.sqrt(2.0) * at.occupied
    with single_threaded_blas():
        fock_seconds = median_seconds(lambda: fock(system, at.dm, occupied), repeats)
        product_seconds = median_seconds(lambda: product(functional, system, at, held, x), repeats)
        whole_seconds = median_seconds(lambda: grassmann.hvp(functional, system, at, x), repeats)
    forces_seconds = median_seconds(lambda: forces(result), repeats)
    pyscf_seconds = median_seconds(lambda: solver.nuc_grad_method().kernel(), max(1, repeats // 2))
    return {
        "molecule": name,
        "functional": xc,
        "forces_s": forces_seconds,
        "pyscf_forces_s": pyscf_seconds,
        "ratio_forces": pyscf_seconds / forces_seconds,
        "forces_difference": float(np.abs(ours - reference_forces).max()),
        "fock_s": fock_seconds,
        "hvp_in_focks": product_seconds / fock_seconds,
        "hvp_from_nothing_in_focks": whole_seconds / fock_seconds,
        "forces_in_focks": forces_seconds / fock_seconds,
    }


def compare_excitations(name: str, xc: str, repeats: int, states: int = 10) -> dict:
    """One row: the lowest singlets by both codes to the same residual, in seconds and in processor seconds."""
    molecule = jqc.Molecule.from_xyz(MOLECULES / f"{name}.xyz")
    settings = jqc.SCFSettings(residual_tolerance=1e-6)
    result = jqc.scf(jqc.build_system(molecule, "def2-svp"), xc, settings=settings).check()
    solver = dft.RKS(_mole(molecule), xc=xc).density_fit(auxbasis="def2-universal-jkfit")
    solver.grids.level, solver.conv_tol_grad = 3, 1e-6
    solver.kernel(np.asarray(result.dm))
    response = solver.TDDFT()
    response.nstates, response.conv_tol = states, 1e-5
    ours = excitations(result, states)
    seconds, cpu = _seconds(lambda: excitations(result, states), repeats)
    pyscf_seconds, pyscf_cpu = _seconds(response.kernel, max(1, repeats // 2))
    return {
        "molecule": name,
        "functional": xc,
        "states": states,
        "tddft_s": seconds,
        "tddft_cpu_s": cpu,
        "pyscf_tddft_s": pyscf_seconds,
        "pyscf_tddft_cpu_s": pyscf_cpu,
        "ratio_tddft": pyscf_seconds / seconds,
        "tddft_difference_ev": float(np.abs(ours.energies - response.e).max() * ELECTRONVOLT),
    }


def _seconds(function, repeats: int) -> tuple[float, float]:
    """Median seconds, and processor seconds, of calls that end on the host."""
    taken = []
    for _ in range(repeats):
        start, cpu = time.perf_counter(), time.process_time()
        function()
        taken.append((time.perf_counter() - start, time.process_time() - cpu))
    return statistics.median(t for t, _ in taken), statistics.median(c for _, c in taken)


def _mole(molecule: jqc.Molecule):
    atoms = list(zip(molecule.symbols, np.asarray(molecule.coords), strict=True))
    return gto.M(atom=atoms, unit="Bohr", basis="def2-svp", verbose=0)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--molecules", nargs="+", default=("water", "ethanol", "benzene", "aspirin"))
    parser.add_argument("--functionals", nargs="+", default=("pbe", "b3lyp"))
    parser.add_argument("--excite", nargs="*", default=("ethanol", "benzene"), help="molecules to excite")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    rows = []
    for measured, names in ((compare, options.molecules), (compare_excitations, options.excite)):
        for name, xc in itertools.product(names, options.functionals):
            rows.append(measured(name, xc, options.repeats))
            print(" ".join(f"{k} {v:.3g}" if isinstance(v, float) else str(v) for k, v in rows[-1].items()), flush=True)
            if options.json:
                environment = {"threads": len(os.sched_getaffinity(0)), "date": time.strftime("%Y-%m-%d")}
                options.json.parent.mkdir(parents=True, exist_ok=True)
                options.json.write_text(json.dumps({"environment": environment, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
