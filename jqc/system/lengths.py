"""Array lengths of a system: what compiled programs are keyed on, shared by systems that are made alike."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from jqc.errors import BasisError
from jqc.system.basis import auxiliary_basis, make_mole, make_shells
from jqc.system.blocks import GroupShape, shape_of
from jqc.system.gto import Shells
from jqc.system.molecule import Molecule
from jqc.system.padding import size_class

if TYPE_CHECKING:
    from jqc.system.build import System

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Lengths:
    """Room for atoms, orbitals, occupied ones, fitting functions, shells and blocks; what a system lacks, it takes.

    `shells` holds places and primitives for each angular momentum.
    """

    atoms: int = 0
    orbitals: int = 0
    occupied: int = 0
    factors: int = 0
    shells: tuple[tuple[int, int], ...] = ()
    groups: tuple[GroupShape, ...] = ()
    coarse: tuple[GroupShape, ...] = ()

    def joined(self, other: "Lengths") -> "Lengths":
        """Room for what either has room for; groups are those of the first that has any."""
        pairs = zip_longest(self.shells, other.shells, fillvalue=(0, 0))
        return Lengths(
            max(self.atoms, other.atoms),
            max(self.orbitals, other.orbitals),
            max(self.occupied, other.occupied),
            max(self.factors, other.factors),
            tuple((max(a[0], b[0]), max(a[1], b[1])) for a, b in pairs),
            self.groups or other.groups,
            self.coarse or other.coarse,
        )

    def holds(self, other: "Lengths") -> bool:
        """Whether there is room for all that the other has room for, groups of blocks left aside."""
        return self.joined(other) == self


def lengths_of(system: "System") -> Lengths:
    """Lengths of a system at hand, or of its shapes."""
    return Lengths(
        system.coords.shape[0],
        system.n_padded,
        system.occupied,
        system.n_factor,
        _places(system.shells),
        tuple(map(shape_of, system.groups)),
        tuple(map(shape_of, system.coarse)),
    )


def _places(shells: tuple[Shells, ...]) -> tuple[tuple[int, int], ...]:
    return tuple((each.exponents.shape[0], each.exponents.shape[1]) for each in shells)


def occupied_columns(mole) -> int:
    """Columns for the occupied orbitals of either spin, at least one."""
    return min(size_class(mole.nao), size_class(max(1, *mole.nelec)))


def lengths_needed(molecule: Molecule, basis: str, aux_basis: str | None = None) -> Lengths:
    """Lengths that a molecule needs, but for its groups of blocks; no integral and no grid is made."""
    mole = make_mole(molecule, basis)
    auxiliary, _ = auxiliary_basis(mole, aux_basis)
    from pyscf.df.addons import make_auxmol

    n_padded = size_class(mole.nao)
    return Lengths(
        size_class(mole.natm),
        n_padded,
        occupied_columns(mole),
        size_class(make_auxmol(mole, auxiliary).nao),
        _places(make_shells(mole, n_padded)),
    )


Formula = tuple[tuple[int, ...], int, int]
"""Nuclear charges in order, charge and spin: what all lengths but those of blocks depend on."""


def formula(molecule: Molecule) -> Formula:
    """The formula of a molecule."""
    return tuple(sorted(np.asarray(molecule.numbers).tolist())), molecule.charge, molecule.spin


def needed_by_name(molecules: Mapping[Name, Molecule], basis: str, aux_basis: str | None = None) -> dict[Name, Lengths]:
    """Array lengths that molecules need, found once for each formula; without those that the basis cannot describe.

    Raises:
        BasisError: an unknown basis, or one that has functions for no molecule.
    """
    formulas = {name: formula(each) for name, each in molecules.items()}
    found: dict[Formula, Lengths] = {}
    refused: BasisError | None = None
    for key, molecule in {formulas[name]: each for name, each in molecules.items()}.items():
        try:
            found[key] = lengths_needed(molecule, basis, aux_basis)
        except BasisError as error:
            refused = error
    if refused and not found:
        raise refused
    return {name: found[key] for name, key in formulas.items() if key in found}


def classes(sizes: Sequence[int], ratio: float = 0.85) -> list[list[int]]:
    """Indices of entries in classes of like size: none smaller than `ratio` of the largest beside it.

    >>> classes([10, 100, 9, 95])
    [[0, 2], [1, 3]]
    """
    found: list[list[int]] = []
    for index in sorted(range(len(sizes)), key=lambda index: -sizes[index]):
        if found and sizes[index] >= ratio * sizes[found[-1][0]]:
            found[-1].append(index)
        else:
            found.append([index])
    return [sorted(members) for members in reversed(found)]
