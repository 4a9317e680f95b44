"""Many molecules in one process, jqc beside PySCF on the same cores: 64 geometries of ethanol, 100 mixed molecules.

Jobs are whole ones, integrals, grids and the choice of size classes included, and alternate in chunks, so that both
codes meet the same load of the machine. PySCF solves one molecule after another on all cores, in a process of its own,
for it turns to the disk where its process holds much memory already; jqc hands them to `scf_batch`. Both get the same
geometries, basis, fitting set, grid level and thresholds. Before, jqc solves one molecule of each size class, which
compiles; these seconds are told apart. Programs that chunks make are counted.

The mixed set is made of `mixed.smi` by RDKit (ETKDG, MMFF): H, C, N, O, F, S and Cl, up to nine heavy atoms.

    python benchmarks/bench_batch.py --json docs/results/bench_batch.json
    python benchmarks/bench_batch.py --quick

Rows that the JSON file holds already are kept, so that a run that was stopped goes on.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import numpy as np
from measuring import environment, in_process, peak_gb, read_rows

import jqc
from jqc.files import write_json
from jqc.process import keep_freed_memory
from jqc.programs import counted
from jqc.system.classes import SizeClasses

MOLECULES = Path(__file__).parents[1] / "examples" / "molecules"
BASIS, AUXILIARY, GRID_LEVEL = "def2-svp", "def2-universal-jkfit", 3
ENERGY_TOLERANCE, RESIDUAL_TOLERANCE = 1e-9, 3e-5

SMILES = Path(__file__).with_name("mixed.smi")


def ethanols(count: int) -> list[jqc.Molecule]:
    """Geometries of ethanol: atoms moved by 0.05 bohr, normally distributed."""
    molecule, random = jqc.Molecule.from_xyz(MOLECULES / "ethanol.xyz"), np.random.default_rng(0)
    coords = np.asarray(molecule.coords)
    return [jqc.Molecule(molecule.numbers, coords + random.normal(0, 0.05, coords.shape)) for _ in range(count)]


def mixed(count: int) -> list[jqc.Molecule]:
    """Molecules of `mixed.smi`, evenly taken, in random order."""
    from rdkit import Chem
    from rdkit.Chem import AllChem

    found = []
    lines = SMILES.read_text().split()
    for smiles in [lines[int(place)] for place in np.linspace(0, len(lines) - 1, count)]:
        molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
        AllChem.EmbedMolecule(molecule, randomSeed=1)
        AllChem.MMFFOptimizeMolecule(molecule)
        positions = np.asarray(molecule.GetConformer().GetPositions())
        symbols = [atom.GetSymbol() for atom in molecule.GetAtoms()]
        found.append(jqc.Molecule.from_arrays(symbols, positions, "angstrom"))
    return [found[place] for place in np.random.default_rng(0).permutation(count)]


def run_pyscf(name: str, count: int, xc: str, first: int, last: int) -> dict:
    """Worker: some molecules of a set one after another on all cores, and the seconds that they take."""
    from pyscf import dft, gto

    molecules = SETS[name](count)[first:last]
    energies, start = [], time.perf_counter()
    for molecule in molecules:
        atoms = list(zip(molecule.symbols, np.asarray(molecule.coords), strict=True))
        solver = dft.RKS(gto.M(atom=atoms, unit="Bohr", basis=BASIS, verbose=0), xc=xc).density_fit(auxbasis=AUXILIARY)
        solver.grids.level = GRID_LEVEL
        solver.conv_tol, solver.conv_tol_grad = ENERGY_TOLERANCE, RESIDUAL_TOLERANCE
        energies.append(float(solver.kernel()))
    return {"energies": energies, "seconds": time.perf_counter() - start}


def jqc_energies(molecules: list[jqc.Molecule], xc: str, classes: SizeClasses, **options: int) -> list[float]:
    """All of them as one batch."""
    settings = jqc.SCFSettings(energy_tolerance=ENERGY_TOLERANCE, residual_tolerance=RESIDUAL_TOLERANCE)
    systems = jqc.build_systems(molecules, BASIS, AUXILIARY, grid_level=GRID_LEVEL, classes=classes)
    return [result.check().energy for result in jqc.scf_batch(systems, xc, settings=settings, **options)]


SETS = {"ethanol": ethanols, "mixed": mixed}
"""What makes so many molecules of each set."""


def compare(
    name: str, molecules: list[jqc.Molecule], xc: str, chunk: int, waste: float, options: dict[str, int]
) -> dict:
    """One row: both codes in turn over chunks of the set, and the ratio of their seconds (above one: jqc is faster)."""
    start = time.perf_counter()
    classes = jqc.size_classes(molecules, BASIS, AUXILIARY, GRID_LEVEL, waste)
    choosing = time.perf_counter() - start
    print(classes, flush=True)
    start = time.perf_counter()
    with counted() as before:
        jqc_energies([molecules[each.members[0]] for each in classes.classes], xc, classes, **options)
    warming = time.perf_counter() - start
    ours, theirs, differences = [], [], []
    with counted() as programs:
        for first in range(0, len(molecules), chunk):
            part, start = molecules[first : first + chunk], time.perf_counter()
            energies = jqc_energies(part, xc, classes, **options)
            ours.append(time.perf_counter() - start)
            reference = in_process(__file__, name, len(molecules), xc, first, first + chunk)
            theirs.append(reference["seconds"])
            differences += [abs(a - b) for a, b in zip(energies, reference["energies"], strict=True)]
            seconds = f"{ours[-1]:.1f} s, PySCF {theirs[-1]:.1f} s, ratio {theirs[-1] / ours[-1]:.2f}"
            print(f"{name} {xc}: {len(differences)} of {len(molecules)}, {seconds}", flush=True)
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    return {
        "set": name,
        "functional": xc,
        "molecules": len(molecules),
        "jqc_molecules_per_s": len(molecules) / (sum(ours) + choosing),
        "pyscf_molecules_per_s": len(molecules) / sum(theirs),
        "ratio_vs_pyscf": sum(theirs) / (sum(ours) + choosing),
        "chunks_s": {"jqc": ours, "pyscf": theirs},
        "ratio_of_chunks": {"median": statistics.median(ratios), "least": min(ratios), "most": max(ratios)},
        "largest_difference_uEh": max(differences) * 1e6,
        "classes": len(classes.classes),
        "waste": classes.waste,
        "choosing_classes_s": choosing,
        "first_of_each_class_s": warming,
        "programs_made_first": before.made,
        "programs_made_then": programs.made,
        "peak_gb": peak_gb(),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="6 geometries and 4 molecules with PBE; under two minutes")
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--sets", nargs="+", choices=("ethanol", "mixed"), default=("ethanol", "mixed"))
    parser.add_argument("--functionals", nargs="+", default=("pbe", "b3lyp"))
    parser.add_argument(
        "--chunk", type=int, default=20, help="molecules that one code solves before the other has its turn"
    )
    parser.add_argument("--waste", type=float, default=0.3, help="bound on the padding of size classes")
    parser.add_argument("--width", type=int, help="slots of a program")
    parser.add_argument("--lanes", type=int, help="threads with an SCF of their own")
    parser.add_argument("--worker", nargs=5, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        name, count, xc, first, last = given.worker
        print(json.dumps(run_pyscf(name, int(count), xc, int(first), int(last))))
        return
    keep_freed_memory()
    jax.config.update("jax_enable_x64", True)
    options = {name: value for name in ("width", "lanes") if (value := getattr(given, name)) is not None}
    if given.quick:
        given.functionals = ("pbe",)
    counts = {"ethanol": 6, "mixed": 4} if given.quick else {"ethanol": 64, "mixed": 100}
    rows = read_rows(given.json, "set", "functional")
    for name in given.sets:
        for xc in given.functionals:
            if (name, xc) not in rows:
                rows[name, xc] = compare(name, SETS[name](counts[name]), xc, given.chunk, given.waste, options)
                jax.clear_caches()
            print(json.dumps(rows[name, xc], indent=1), flush=True)
            if given.json:
                write_json(given.json, {"environment": environment(), "options": options, "rows": list(rows.values())})


if __name__ == "__main__":
    main()
