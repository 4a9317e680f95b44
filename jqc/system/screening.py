"""Pairs of orbitals that count: far apart ones have no charge between them that anything could feel."""

from dataclasses import dataclass
from itertools import groupby

import numpy as np

from jqc.typing import Bool, Float, Int

NEGLIGIBLE_PAIR = 1e-10
"""Pairs with √(μν|μν) below this, in hartree^½, are left out of the two-electron factor.

Σ_L B_Lμν² ≤ (μν|μν), so that no element of a column that is left out is larger.
"""


def pair_bounds(mole) -> Float[np.ndarray, "shell shell"]:
    """Largest √(μν|μν) of two shells; attenuated operators are smaller."""
    from pyscf.scf._vhf import _VHFOpt

    return np.asarray(_VHFOpt(mole, "int2e", "CVHFnrs8_prescreen", "CVHFnr_int2e_q_cond").q_cond)


@dataclass(frozen=True)
class PairBlock:
    """Orbitals of shells `bra` with those of shells `ket`, and which of these pairs μ ≥ ν count."""

    bra: tuple[int, int]
    ket: tuple[int, int]
    counts: Bool[np.ndarray, "bra ket"]
    places: Int[np.ndarray, "kept"]


def pair_blocks(mole) -> list[PairBlock]:
    """Every pair that counts once: each atom's shells with runs of atoms before it that they meet."""
    shells = [(int(first), int(last)) for first, last, *_ in mole.aoslice_by_atom()]
    near = pair_bounds(mole) > NEGLIGIBLE_PAIR
    found = []
    for atom, bra in enumerate(shells):
        meets = [bool(near[slice(*bra), slice(*ket)].any()) for ket in shells[: atom + 1]]
        for is_near, run in groupby(range(atom + 1), key=meets.__getitem__):
            if is_near:
                atoms = list(run)
                found.append(_block(mole, near, bra, (shells[atoms[0]][0], shells[atoms[-1]][1])))
    return found


def _block(mole, near: np.ndarray, bra: tuple[int, int], ket: tuple[int, int]) -> PairBlock:
    where = mole.ao_loc_nr()
    rows, columns = (np.arange(where[first], where[last]) for first, last in (bra, ket))
    sizes = [np.diff(where[first : last + 1]) for first, last in (bra, ket)]
    counts = np.repeat(np.repeat(near[slice(*bra), slice(*ket)], sizes[0], 0), sizes[1], 1)
    counts &= rows[:, None] >= columns
    row, column = (index[counts] for index in np.broadcast_arrays(rows[:, None], columns))
    return PairBlock(bra, ket, counts, row * (row + 1) // 2 + column)
