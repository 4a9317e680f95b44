"""Training examples from a store of labels, in size classes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np

from jqc.data.record import Record
from jqc.data.store import Store, open_store
from jqc.distill.example import Example, make_example, stack, with_integrals
from jqc.errors import StoreError
from jqc.system import Molecule
from jqc.system.lengths import Lengths, classes, needed_by_name

RATIO = 0.6
"""Least orbitals of an example over the most in its class: few programs are worth more than little padding."""


@dataclass(frozen=True)
class Dataset:
    """Examples by size class, the settings of their labels, and a hash of the files that hold them."""

    classes: list[Example]
    names: list[list[str]]
    settings: dict[str, str | int | None]
    sha256: str

    @property
    def size(self) -> int:
        """Number of examples."""
        return sum(map(len, self.names))


def load(
    folder: Path, grid_level: int | None = None, names: Sequence[str] | None = None, integrals: bool = False
) -> Dataset:
    """All labels of a store, or some by name, on the compact quadrature or one of PySCF's levels.

    `integrals` come with them where a loss needs them.

    Raises:
        StoreError: no store, a damaged record, or labels without derivatives.
    """
    store = open_store(folder)
    if not store.settings.get("derivatives"):
        raise StoreError(f"{folder / 'store.json'} is of labels without derivatives; label with --derivatives 2.")
    names = _all_names(store) if names is None else list(names)
    molecules = {name: _molecule(store, name) for name in names}
    needed = needed_by_name(molecules, str(store.settings["basis"]))
    grouped = []
    for closed in (True, False):
        inside = [name for name in names if (molecules[name].spin == 0) == closed]
        members = classes([needed[name].orbitals for name in inside], RATIO)
        grouped += [[inside[index] for index in each] for each in members]
    made = [_stacked(store, group, molecules, needed, grid_level, integrals) for group in grouped]
    digest = hashlib.sha256()
    for name in names:
        digest.update(hashlib.sha256((folder / f"{name}.h5").read_bytes()).digest())
    return Dataset(made, grouped, store.settings, digest.hexdigest())


def split_by_formula(folder: Path, share: float) -> tuple[list[str], list[str]]:
    """Names of a store's labels to learn from and to validate on; no sum formula is in both.

    A formula's hash decides, so that more labels do not move those that are there; one formula at least is held back,
    and one kept.

    Raises:
        StoreError: no labels, or too few formulas to hold one back.
    """
    store = open_store(folder)
    by_formula: dict[str, list[str]] = {}
    for name in _all_names(store):
        numbers = sorted(np.asarray(_molecule(store, name).numbers).tolist())
        by_formula.setdefault(hashlib.sha256(bytes(numbers)).hexdigest(), []).append(name)
    if len(by_formula) < 2:
        raise StoreError(f"{folder} holds molecules of one formula; give labels to validate on.")
    below = sum(int(each, 16) < share * 16 ** len(each) for each in by_formula)
    count = min(max(1, below), len(by_formula) - 1)
    held_back, kept = sorted(by_formula)[:count], sorted(by_formula)[count:]
    return [name for key in kept for name in by_formula[key]], [name for key in held_back for name in by_formula[key]]


def _all_names(store: Store) -> list[str]:
    names = store.names()
    if not names:
        raise StoreError(f"{store.folder} holds no labels; run jqc label to the end.")
    return names


def molecule_of(record: Record) -> Molecule:
    """The molecule of a label."""
    charge, spin = int(record.attributes["charge"]), int(record.attributes["spin"])
    return Molecule(record.arrays["numbers"], record.arrays["coords"], charge, spin)  # pyright: ignore[reportArgumentType]


def _molecule(store: Store, name: str) -> Molecule:
    return molecule_of(store.read(name, ("numbers", "coords")))


def same_labels(one: Dataset, other: Dataset, folder: Path) -> None:
    """Refuse to mix labels of different settings; seeds may differ.

    Raises:
        StoreError: they differ; the first setting that does is named.
    """
    for key in sorted(one.settings.keys() | other.settings.keys()):
        here, there = one.settings.get(key), other.settings.get(key)
        if key != "seed" and here != there:
            raise StoreError(
                f"{folder / 'store.json'} has {key} = {there}, the training labels {here}; label both alike."
            )


def _stacked(
    store: Store,
    names: list[str],
    molecules: dict[str, Molecule],
    needed: dict[str, Lengths],
    grid_level: int | None,
    integrals: bool,
) -> Example:
    room = reduce(Lengths.joined, (needed[name] for name in names))
    basis, aux_basis, coulomb = (store.settings[key] for key in ("basis", "aux_basis", "coulomb"))

    def made(name: str) -> Example:
        example = make_example(store.read(name).arrays, molecules[name], str(basis), grid_level, room)
        if not integrals:
            return example
        return with_integrals(example, molecules[name], str(basis), aux_basis and str(aux_basis), str(coulomb), room)

    return stack([made(name) for name in names])
