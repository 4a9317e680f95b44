"""The molecules of the distillation study: closed-shell H, C, N, O, split by composition and by size.

Graphs are enumerated (`graphs.py`) and drawn, relaxed and displaced with GFN2-xTB (`geometries.py`). Training and
validation share no sum formula; tests have more heavy atoms than both. Formulas of the test set have at least two
isomers there, so that isomerisation energies can be compared, and a second conformer where there is one.

    pip install -c constraints.txt -e '.[bench]'
    python benchmarks/distill/molecules.py --out DIR --seed 0
    python benchmarks/distill/molecules.py --out DIR --quick

A run that was stopped goes on where it was.
"""

import argparse
import hashlib
import json
import os
import statistics
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import NamedTuple

os.environ["OMP_NUM_THREADS"] = "1"  # before the first import of a linear algebra library

import numpy as np
from geometries import UnfitError, conformers, displaced, embedded
from graphs import RULES, graphs
from rdkit import Chem, RDLogger
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from jqc.data import Store, open_store
from jqc.files import write_atomically, write_json
from jqc.system import Molecule


class Size(NamedTuple):
    """How large the study is."""

    small: int  # heavy atoms of training and validation molecules, at most
    n_small: int  # molecules in training and validation together
    tests: tuple[int, ...]  # heavy atoms of test molecules
    n_test: int  # test molecules of each size


FULL = Size(small=5, n_small=420, tests=(6, 7), n_test=42)
QUICK = Size(small=2, n_small=8, tests=(3,), n_test=4)
VALIDATION = 0.1  # of the formulas of each number of heavy atoms, at least one; of methane, ammonia and water none
ISOMERS = 3  # most test molecules of one formula
EMBEDDINGS = 6  # tried for a second conformer
DISPLACED = {"train": 2, "validation": 1, "test": 1}


class Graph(NamedTuple):
    """A constitution: a name that is unique and fit for a file, canonical SMILES, sum formula."""

    name: str
    smiles: str
    formula: str


class Frame(NamedTuple):
    """A geometry with the comment of its XYZ frame."""

    molecule: Molecule
    info: dict[str, str]

    @property
    def heavy(self) -> int:
        """Number of atoms that are not hydrogen."""
        return int(np.sum(np.asarray(self.molecule.numbers) > 1))


def named(smiles: list[str]) -> list[Graph]:
    """Graphs with names counted by formula, in the order of the SMILES."""
    counts: Counter[str] = Counter()
    found = []
    for text in smiles:
        formula = CalcMolFormula(Chem.MolFromSmiles(text))
        counts[formula] += 1
        found.append(Graph(f"{formula}-{counts[formula]:03d}", text, formula))
    return found


def make(store: Store, graph: Graph, n_embeddings: int, n_displaced: int) -> None:
    """Keep minimum, displaced geometries and, of several embeddings, a second conformer, seeded by seed and name."""
    seed, own = store.settings["seed"], zlib.crc32(graph.name.encode())
    molecule, embeddings = embedded(graph.smiles, n_embeddings, (own + seed) & 0x7FFFFFFF)
    minima = conformers(molecule, embeddings)
    generator = np.random.default_rng([seed, own])
    draws = displaced(molecule, minima[0], n_displaced, generator)
    positions = [minima[0].positions, *draws, *(minimum.positions for minimum in minima[1:])]
    kinds = ["minimum"] + ["displaced"] * n_displaced + ["conformer"] * (len(minima) - 1)
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
    smiles = Chem.MolToSmiles(Chem.RemoveHs(molecule))
    store.write(
        graph.name,
        {"numbers": (numbers, "1"), "positions": (np.array(positions), "angstrom")},
        {"smiles": smiles, "formula": graph.formula, "kinds": " ".join(kinds)},
    )


def frames(store: Store, graph: Graph, n_embeddings: int, n_displaced: int) -> list[Frame]:
    """Frames of a molecule, made if the store neither has them nor knows why not; none where it is unfit."""
    if graph.name in store.failures():
        return []
    if not store.done(graph.name):
        try:
            make(store, graph, n_embeddings, n_displaced)
        except UnfitError as unfit:
            store.fail(graph.name, str(unfit))
            return []
    record = store.read(graph.name)
    numbers, common = record.arrays["numbers"], {"name": graph.name} | record.attributes
    return [
        Frame(
            Molecule.from_arrays(numbers, positions, "angstrom"),
            {key: common[key] for key in ("name", "smiles", "formula")} | {"kind": kind, "index": str(index)},
        )
        for index, (kind, positions) in enumerate(zip(common["kinds"].split(), record.arrays["positions"], strict=True))
    ]


def small_molecules(
    pool: dict[int, list[Graph]], size: Size, store: Store, generator: np.random.Generator
) -> dict[str, list[Frame]]:
    """Frames of all molecules below the largest size, and of as many of that size as are asked for."""
    chosen = [graph for heavy in range(1, size.small) for graph in pool[heavy]]
    chosen += [pool[size.small][at] for at in generator.permutation(len(pool[size.small]))]
    found: dict[str, list[Frame]] = {}
    for graph in chosen:
        if len(found) == size.n_small:
            break
        if made := frames(store, graph, 1, DISPLACED["train"]):
            found[graph.name] = made
    return found


def split(found: dict[str, list[Frame]], generator: np.random.Generator) -> tuple[list[Frame], list[Frame]]:
    """Frames for training and for validation, which share no sum formula."""
    by_size = defaultdict(set)
    for made in found.values():
        by_size[made[0].heavy].add(_formula(made))
    held_out: set[str] = set()
    for heavy, formulas in sorted(by_size.items()):
        if heavy > 1:
            count = max(1, round(VALIDATION * len(formulas)))
            held_out |= set(generator.permutation(sorted(formulas))[:count].tolist())
    validation = [made[: 1 + DISPLACED["validation"]] for made in found.values() if _formula(made) in held_out]
    training = [made for made in found.values() if _formula(made) not in held_out]
    return list(chain(*training)), list(chain(*validation))


def _formula(made: list[Frame]) -> str:
    return made[0].info["formula"]


def larger_molecules(pool: list[Graph], count: int, store: Store, generator: np.random.Generator) -> list[Frame]:
    """Frames of isomers, a few of each of many formulas, a formula drawn as often as its graphs would be."""
    by_formula = defaultdict(list)
    for graph in pool:
        by_formula[graph.formula].append(graph)
    found: list[list[Frame]] = []
    formulas = sorted(by_formula)
    weights = np.array([len(by_formula[formula]) for formula in formulas])
    for formula in generator.choice(formulas, len(formulas), replace=False, p=weights / weights.sum()):
        if len(found) >= count - 1:
            break
        isomers: list[list[Frame]] = []
        for at in generator.permutation(len(by_formula[formula])):
            if len(isomers) == min(ISOMERS, count - len(found)):
                break
            if made := frames(store, by_formula[formula][at], EMBEDDINGS, DISPLACED["test"]):
                isomers.append(made)
        if len(isomers) > 1:
            found += isomers
    return list(chain(*found))


def drawn(
    pool: dict[int, list[Graph]], size: Size, store: Store, generator: np.random.Generator
) -> dict[str, list[Frame]]:
    """Frames of each part of the study."""
    training, validation = split(small_molecules(pool, size, store, generator), generator)
    test = [frame for heavy in size.tests for frame in larger_molecules(pool[heavy], size.n_test, store, generator)]
    return {"train": training, "validation": validation, "test": test}


def xyz_text(made: list[Frame]) -> str:
    """Frames as extended XYZ."""
    return "".join(frame.molecule.to_xyz_text(frame.info) for frame in made)


def summary(made: list[Frame], text: str) -> dict:
    """What one file holds."""
    minima = [frame for frame in made if frame.info["kind"] == "minimum"]
    atoms = [len(frame.molecule.numbers) for frame in minima]
    return {
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "frames": len(made),
        "molecules": len(minima),
        "formulas": len({frame.info["formula"] for frame in made}),
        "kinds": dict(sorted(Counter(frame.info["kind"] for frame in made).items())),
        "heavy_atoms": {str(size): count for size, count in sorted(Counter(frame.heavy for frame in minima).items())},
        "atoms": {str(size): count for size, count in sorted(Counter(atoms).items())},
        "median_atoms": statistics.median(atoms),
    }


def isomers(made: list[Frame]) -> Iterator[tuple[str, list[str]]]:
    """Names of test molecules by formula: each pair of them is a reaction."""
    by_formula = defaultdict(list)
    for frame in made:
        if frame.info["kind"] == "minimum":
            by_formula[frame.info["formula"]].append(frame.info["name"])
    yield from sorted(by_formula.items())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the files; made if need be")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a dozen molecules")
    options = parser.parse_args()
    RDLogger.DisableLog("rdApp.*")
    start, size = time.perf_counter(), QUICK if options.quick else FULL
    versions = {name: version(name) for name in ("rdkit", "tblite", "ase", "numpy", "jqc-jax")}
    rules = hashlib.sha256(repr(RULES).encode()).hexdigest()  # names of molecules count what the rules let pass
    settings = {"seed": options.seed, "quick": options.quick, "rules": rules}
    store = open_store(options.out / "geometries", settings, versions)
    pool = {heavy: named(smiles) for heavy, smiles in graphs(max(size.tests)).items()}
    counts = {str(heavy): len(found) for heavy, found in pool.items()}
    print(f"graphs by heavy atoms: {counts}", flush=True)
    parts = drawn(pool, size, store, np.random.default_rng(options.seed))
    texts = {name: xyz_text(made) for name, made in parts.items()}
    for name, text in texts.items():
        write_atomically(options.out / f"{name}.xyz", text.encode())
    files = {f"{name}.xyz": summary(parts[name], texts[name]) for name in parts}
    described = {
        "seed": options.seed,
        "versions": versions,
        "graphs": counts,
        "rules": {rule.name: rule.reason for rule in RULES},
        "unfit": dict(sorted(Counter(store.failures().values()).items())),
        "files": files,
        "isomers": dict(isomers(parts["test"])),
    }
    write_json(options.out / "molecules.json", described)
    print(json.dumps(files, indent=1))
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
