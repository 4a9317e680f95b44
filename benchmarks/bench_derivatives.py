"""Derivatives beside PySCF's on the same cores, from one converged density, and what they cost in Fock builds.

Medians of several warm runs; the SCF itself is not counted. Peak memory is that of a process of its own.

    python benchmarks/bench_derivatives.py --json docs/results/bench_derivatives.json
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import jax
import numpy as np
from measuring import environment, peak_gb
from pyscf import dft, gto
from pyscf.scf import cphf

import jqc
from jqc.files import write_json
from jqc.process import single_threaded_blas
from jqc.response import displacements, excitations, forces, polarizability
from jqc.scf import SCFResult, grassmann
from jqc.scf.energy import energy_parts
from jqc.scf.kernel import reference
from jqc.system import keep_orbitals
from jqc.units import ELECTRONVOLT

MOLECULES = Path(__file__).parents[1] / "examples" / "molecules"
STATES = 10


def seconds_of(function, repeats: int, warm_up: bool = True) -> tuple[float, float, object]:
    """Median seconds and processor seconds of a call, after one that compiles, and what it returned."""
    found = jax.block_until_ready(function()) if warm_up else None
    taken = []
    for _ in range(repeats):
        start, cpu = time.perf_counter(), time.process_time()
        found = jax.block_until_ready(function())
        taken.append((time.perf_counter() - start, time.process_time() - cpu))
    return statistics.median(t for t, _ in taken), statistics.median(c for _, c in taken), found


def solved(name: str, xc: str) -> SCFResult:
    """A density that derivatives may be taken at."""
    molecule = jqc.Molecule.from_xyz(MOLECULES / f"{name}.xyz")
    settings = jqc.SCFSettings(residual_tolerance=1e-6)
    return jqc.scf(jqc.build_system(molecule, "def2-svp"), xc, settings=settings).check()


def solved_by_pyscf(result: SCFResult, xc: str):
    """PySCF's solution of the same, from the same density."""
    molecule = result.system.molecule
    atoms = list(zip(molecule.symbols, np.asarray(molecule.coords), strict=True))
    mole = gto.M(atom=atoms, unit="Bohr", basis="def2-svp", verbose=0)
    solver = dft.RKS(mole, xc=xc).density_fit(auxbasis="def2-universal-jkfit")
    solver.grids.level, solver.conv_tol_grad = 3, 1e-6
    solver.kernel(np.asarray(result.dm))
    return solver


def beside(name: str, ours, theirs, repeats: int, difference, long: bool = False) -> dict:
    """Seconds of both codes for one quantity, their ratio, and how far the quantities are apart.

    What takes PySCF minutes (`long`) is asked of it once.
    """
    seconds, cpu, found = seconds_of(ours, repeats)
    pyscf, pyscf_cpu, expected = seconds_of(theirs, 1 if long else repeats, warm_up=not long)
    apart = float(np.abs(difference(found, expected)).max())
    names = ("s", "cpu_s", "pyscf_s", "pyscf_cpu_s", "ratio", "difference")
    values = (seconds, cpu, pyscf, pyscf_cpu, pyscf / seconds, apart)
    return {f"{name}_{key}": value for key, value in zip(names, values, strict=True)}


def force_row(result: SCFResult, solver, repeats: int) -> dict:
    return beside(
        "forces", lambda: forces(result), lambda: -solver.nuc_grad_method().kernel(), repeats, lambda a, b: a - b
    )


def polarizability_row(result: SCFResult, solver, repeats: int) -> dict:
    ours = lambda: polarizability(result)  # noqa: E731
    return beside("polarizability", ours, lambda: polarizability_by_pyscf(solver), repeats, lambda a, b: a - b)


def polarizability_by_pyscf(solver) -> np.ndarray:
    """From PySCF's coupled-perturbed solver, as its property modules use it."""
    occupied, virtual = solver.mo_coeff[:, solver.mo_occ > 0], solver.mo_coeff[:, solver.mo_occ == 0]
    moments = np.einsum("xmn,ma,ni->xai", solver.mol.intor("int1e_r"), virtual, occupied)
    respond = solver.gen_response(hermi=1)

    def induced(x):
        change = 2 * np.einsum("ma,xai,ni->xmn", virtual, x.reshape(-1, *moments.shape[1:]), occupied)
        potential = respond(change + change.swapaxes(1, 2))
        return np.einsum("xmn,ma,ni->xai", potential, virtual, occupied).reshape(x.shape)

    answers = cphf.solve(induced, solver.mo_energy, solver.mo_occ, moments, tol=1e-7)[0]
    return -4 * np.einsum("xai,yai->xy", moments, answers)


def excitation_row(result: SCFResult, solver, repeats: int) -> dict:
    response = solver.TDDFT()
    response.nstates, response.conv_tol = STATES, 1e-5

    def theirs():
        response.kernel()
        return response.e

    ours = lambda: excitations(result, STATES).energies  # noqa: E731
    return beside("tddft", ours, theirs, repeats, lambda a, b: (a - b) * ELECTRONVOLT, long=True)


def hessian_row(result: SCFResult, solver, repeats: int) -> dict:
    def theirs():
        hessian = solver.Hessian()
        hessian.auxbasis_response = 2
        return hessian.kernel().transpose(0, 2, 1, 3).reshape(3 * solver.mol.natm, -1)

    return beside("hessian", lambda: displacements(result).hessian, theirs, repeats, lambda a, b: a - b, long=True)


def product_row(result: SCFResult, solver, repeats: int) -> dict:
    """Energy, Fock matrix and Hessian product, each in Fock builds."""
    system, functional = keep_orbitals(result.system), result.functional
    at = grassmann.point(system, result.mo_coeff)
    x = jax.random.normal(jax.random.key(0), (1, at.virtual.shape[-1], at.occupied.shape[-1]))
    occupied = np.sqrt(2.0) * at.occupied
    energy = jax.jit(lambda system, dm, occupied: energy_parts(functional, system, dm, occupied).total)
    fock = jax.jit(lambda system, dm, occupied: reference(functional, system, dm, occupied).fock)
    product = jax.jit(grassmann.hvp_from)
    held = jax.jit(grassmann.reference_at)(functional, system, at)
    with single_threaded_blas():
        energy_seconds = seconds_of(lambda: energy(system, at.dm, occupied), repeats)[0]
        build = seconds_of(lambda: fock(system, at.dm, occupied), repeats)[0]
        from_held = seconds_of(lambda: product(functional, system, at, held, x), repeats)[0]
        from_nothing = seconds_of(lambda: grassmann.hvp(functional, system, at, x), repeats)[0]
    return {
        "fock_s": build,
        "gradient_over_energy": build / energy_seconds,
        "hvp_in_focks": from_held / build,
        "hvp_from_nothing_in_focks": from_nothing / build,
    }


def memory_row(result: SCFResult, solver, repeats: int, name: str, xc: str) -> dict:
    """Peak memory of a process after its SCF, and after its forces."""
    command = [sys.executable, __file__, "--memory", name, xc]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    scf, after = (float(line) for line in lines[-2:])
    return {"scf_peak_gb": scf, "forces_peak_gb": after, "memory_ratio": after / scf}


def print_peaks(name: str, xc: str) -> None:
    result = solved(name, xc)
    print(peak_gb())
    forces(result)
    print(peak_gb())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="water, one repeat; under two minutes")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--molecules", nargs="+", default=("water", "ethanol", "benzene", "aspirin"))
    parser.add_argument("--functionals", nargs="+", default=("pbe", "b3lyp"))
    parser.add_argument("--excite", nargs="*", default=("ethanol", "benzene"), help="molecules to excite and polarize")
    parser.add_argument(
        "--vibrate", nargs="*", default=("water", "ethanol"), help="molecules whose Hessian is compared"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", nargs=2, metavar=("MOLECULE", "FUNCTIONAL"), help="print peak memory in GB only")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    if options.memory:
        return print_peaks(*options.memory)
    if options.quick:
        options.molecules, options.functionals, options.repeats = ("water",), ("pbe",), 1
    rows = []
    for name, xc in itertools.product(options.molecules, options.functionals):
        result = solved(name, xc)
        solver = solved_by_pyscf(result, xc)
        row = {"molecule": name, "functional": xc}
        measured = [force_row, product_row, partial(memory_row, name=name, xc=xc)]
        measured += [polarizability_row, excitation_row] if name in options.excite else []
        measured += [hessian_row] if name in options.vibrate else []
        for part in measured:
            row |= part(result, solver, options.repeats)
        rows.append(row)
        print(" ".join(f"{k} {v:.3g}" if isinstance(v, float) else str(v) for k, v in row.items()), flush=True)
        if options.json:
            write_json(options.json, {"environment": environment(), "rows": rows})
    return None


if __name__ == "__main__":
    main()
