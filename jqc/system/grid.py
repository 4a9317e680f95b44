"""Molecular quadrature grids: PySCF's levels, cut into compact blocks of points.

Radial schemes, angular grids, pruning and the Becke partition are PySCF's defaults, so that level 0…9 means the
same points and weights as there; only the compact grid has a radial scheme of its own. A k-d tree then orders the
points into blocks of equal size, each a small box in which most basis functions vanish.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from jqc.errors import InputError
from jqc.system.padding import size_class

NEGLIGIBLE_WEIGHT = 1e-16
"""Points below this weight are dropped; Becke's partition makes some 5 % of them."""


CUTOFF = 1e-8
"""Orbital values and gradients below this are left out of a block; moves energies by some 1e-11 hartree."""


@dataclass(frozen=True)
class Grid:
    """Points (grid, 3) in bohr and weights (grid,), ordered so that each run of `block` points is compact.

    `owner` is the atom that each point moves with, none for points of unknown origin. Orbitals whose values and
    gradients stay below the cutoff in a block are left out there.
    """

    coords: np.ndarray
    weights: np.ndarray
    owner: np.ndarray | None
    block: int
    cutoff: float = CUTOFF


def block_size(n_ao: int) -> int:
    """Points per block, a power of two: small blocks screen better, large ones make products that run faster.

    >>> [block_size(n) for n in (24, 72, 114, 222, 400)]
    [4096, 4096, 2048, 1024, 512]
    """
    return 1 << int(np.clip(np.log2(300_000 / n_ao), 9, 12))


Sizes = tuple[tuple[int, int], tuple[int, int]]
"""Radial and angular points of hydrogen and helium, and of any other atom, for a grid of Becke's radial scheme."""

COMPACT: Sizes = ((25, 26), (40, 50))
"""The compact grid.

Differences of functionals, of which core regions cancel, come out of 1,500 points an atom to 0.2 (PBE), 0.3 (learned)
and 0.5 mEh (r2SCAN, all less B3LYP, root mean squares of molecules of 8 to 20 atoms), what orbital gradients cost to
some 10 µEh. PySCF's level 1 has 3,700 points and errors of 0.02, 1.6 and 1.4 mEh. Kinetic energy densities ask for
radial points, and for Becke's scheme: with Treutler and Ahlrichs' in its place learned functionals and r2SCAN are wrong
by 1.5 mEh, most of it alike for every carbon, which training would make its own.
"""


def check_level(level: int) -> None:
    """Refuse what is none of PySCF's levels.

    Raises:
        InputError: there is no such level.
    """
    if level not in range(10):
        raise InputError(f"grid level {level!r} does not exist; choose 0 (coarse) to 9 (fine).")


def most_points(mole, level: int) -> int:
    """Points of the atoms' grids at one of PySCF's levels: a molecule has no more, and a few per cent less."""
    from pyscf.dft.gen_grid import Grids

    weights = {symbol: len(weights) for symbol, (_, weights) in Grids(mole).gen_atomic_grids(mole, level=level).items()}
    return sum(weights[mole.atom_symbol(atom)] for atom in range(mole.natm))


def molecular_grid(mole, level: int | Sizes, n_ao: int, block: int | None = None) -> Grid:
    """Becke grid at one of PySCF's levels 0…9 or of other sizes, in blocks for `n_ao` orbitals or as given."""
    from pyscf.data.elements import charge
    from pyscf.dft.gen_grid import Grids
    from pyscf.dft.radi import becke

    grids = Grids(mole)
    if isinstance(level, int):
        grids.level = level
    else:
        symbols = {mole.atom_symbol(atom) for atom in range(mole.natm)}
        grids.atom_grid = {symbol: level[charge(symbol) > 2] for symbol in symbols}
        grids.radi_method = becke
    points = grids.gen_atomic_grids(mole, grids.atom_grid, grids.radi_method, grids.level, grids.prune)
    how: Any = (grids.radii_adjust, grids.atomic_radii, grids.becke_scheme)
    coords, weights = grids.get_partition(mole, points, *how)
    counts = [len(points[mole.atom_symbol(atom)][1]) for atom in range(mole.natm)]
    owner = np.repeat(np.arange(mole.natm, dtype=np.int32), counts)
    return compact_grid(np.asarray(coords), np.asarray(weights), n_ao, block, owner)


def compact_grid(
    coords: np.ndarray, weights: np.ndarray, n_ao: int, block: int | None = None, owner: np.ndarray | None = None
) -> Grid:
    """Points (grid, 3) and weights (grid,) that count, in compact order, in blocks for `n_ao` orbitals or as given."""
    keep = np.flatnonzero(np.abs(weights) > NEGLIGIBLE_WEIGHT)
    block = block or block_size(size_class(n_ao))
    order = keep[compact_order(coords[keep], block)]
    return Grid(coords[order], weights[order], None if owner is None else owner[order], block)


def compact_order(coords: np.ndarray, block: int) -> np.ndarray:
    """Permutation that makes every run of `block` points a small box: median splits along the widest axis."""
    axes, order = np.array(coords.T, order="C"), np.arange(len(coords))

    def split(first: int, last: int) -> None:
        blocks = -(-(last - first) // block)
        if blocks <= 1:
            return
        points, half = axes[:, first:last], (blocks // 2) * block
        parts = np.argpartition(points[np.argmax(np.ptp(points, axis=1))], half)
        points[:] = np.take(points, parts, axis=1)  # in place, so that parts are contiguous: five times as fast
        order[first:last] = order[first:last][parts]
        split(first, first + half)
        split(first + half, last)

    split(0, len(coords))
    return order
