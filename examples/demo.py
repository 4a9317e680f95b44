"""Kohn–Sham energies of five molecules by jqc and by PySCF: same basis, fitting set, grid and thresholds.

Exits with 1 where the two differ by more than 1 µEh (closed shells) or 2 µEh (open shells).
"""

# %% Set-up: double precision, and compiled programs kept between runs
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # the compiler's false alarms about kept programs

import jax
import numpy as np
from pyscf import dft, gto
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

import jqc
from jqc.cli.cache import use_compilation_cache
from jqc.timing import stages
from jqc.units import MICROHARTREE

jax.config.update("jax_enable_x64", True)
use_compilation_cache()

MOLECULES = ("water", "ethanol", "benzene", "oh", "o2")
FUNCTIONALS = ("pbe", "b3lyp")
BASIS = "def2-svp"
GRID_LEVEL = 3
ENERGY_TOLERANCE = 1e-9
LARGEST_DIFFERENCE = {"restricted": 1.0, "unrestricted": 2.0}  # µEh
FOLDER = Path(__file__).parent / "molecules"


# %% The two programs
def by_jqc(molecule: jqc.Molecule, functional: str) -> tuple[jqc.SCFResult, float, float]:
    """Result, seconds of work, seconds of compilation."""
    started = time.perf_counter()
    with stages() as seconds:
        system = jqc.build_system(molecule, BASIS, grid_level=GRID_LEVEL)
        settings = jqc.SCFSettings(energy_tolerance=ENERGY_TOLERANCE)
        result = jqc.scf(system, functional, settings=settings).check()
    total = time.perf_counter() - started
    return result, total - seconds["compile"], seconds["compile"]


def by_pyscf(molecule: jqc.Molecule, functional: str, aux_basis: str) -> tuple[float, float]:
    """Energy in hartree and seconds."""
    started = time.perf_counter()
    atoms = list(zip(molecule.symbols, np.asarray(molecule.coords), strict=True))
    mole = gto.M(atom=atoms, unit="Bohr", basis=BASIS, charge=molecule.charge, spin=molecule.spin, verbose=0)
    method = (dft.UKS if molecule.spin else dft.RKS)(mole, xc=functional).density_fit(auxbasis=aux_basis)
    method.grids.level = GRID_LEVEL
    method.conv_tol = ENERGY_TOLERANCE
    energy = method.kernel()
    if not method.converged:
        raise RuntimeError("PySCF did not converge.")
    return energy, time.perf_counter() - started


# %% Every molecule with every functional
table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
for header in ("molecule", "functional"):
    table.add_column(header, no_wrap=True)
for header in ("energy\nEh", "− PySCF\nµEh", "iterations", "jqc\ns", "compile\ns", "PySCF\ns"):
    table.add_column(header, justify="right", no_wrap=True)

failures = []
for name in MOLECULES:
    molecule = jqc.Molecule.from_xyz(FOLDER / f"{name}.xyz")
    limit = LARGEST_DIFFERENCE["unrestricted" if molecule.spin else "restricted"]
    for functional in FUNCTIONALS:
        label = f"{name}, {functional.upper()}"
        print(f"{label}: jqc", end="", flush=True)
        result, work, compiling = by_jqc(molecule, functional)
        print(f" {work + compiling:.1f} s, PySCF", end="", flush=True)
        reference, pyscf_seconds = by_pyscf(molecule, functional, result.aux_basis)
        print(f" {pyscf_seconds:.1f} s", flush=True)
        difference = (result.energy - reference) * MICROHARTREE
        if not abs(difference) <= limit:
            failures.append(f"{label} differs from PySCF by {difference:.2f} µEh, more than {limit} µEh")
        table.add_row(
            name,
            functional.upper(),
            f"{result.energy:.8f}",
            f"{difference:+z.4f}",
            str(result.iterations),
            f"{work:.2f}",
            f"{compiling:.2f}",
            f"{pyscf_seconds:.2f}",
        )

# %% What came out
console = Console(highlight=False)
console.print(table)
for failure in failures:
    console.print(f"error: {failure}")
sys.exit(1 if failures else 0)
