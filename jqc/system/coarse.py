"""A rougher quadrature beside a molecule's own: most iterations of an SCF ask for no more."""

from dataclasses import replace

from jqc.system.blocks import BlockGroup, make_groups
from jqc.system.grid import Grid, Sizes, block_size, molecular_grid
from jqc.system.gto import Shells
from jqc.system.lengths import Lengths

COARSE: Sizes = ((20, 50), (28, 86))
"""Its points: an eighth of level 3's, with which an SCF comes back to the finer quadrature twice.

With 74 angular points it comes back three times, with twice as many points in all no less than twice.
"""

LEAST_WORK = 3e6
"""Points times orbitals from which a rougher quadrature saves more than its programs cost."""

LEAST_POINTS = 5_000
"""Points for each atom from which it is much smaller: PySCF's levels from 2 up."""

BLOCK = 1024
"""Points in a block at most: there are few, and blocks are filled up."""

CUTOFF = 1e-5
"""Orbital values below this are left out of a block; what that changes is corrected with the rest."""


def pays(points: int, n_atoms: int, n_ao: int) -> bool:
    """Whether a molecule with so many points has a rougher quadrature too."""
    return points * n_ao > LEAST_WORK and points > LEAST_POINTS * n_atoms


def coarse_grid(mole, n_ao: int) -> Grid:
    """The rougher quadrature of a molecule in small blocks, on which only orbitals of some size are looked at."""
    return replace(molecular_grid(mole, COARSE, n_ao, min(BLOCK, block_size(n_ao))), cutoff=CUTOFF)


def coarse_groups(
    mole, shells: tuple[Shells, ...], room: Lengths, fine: Grid, precision: str
) -> tuple[BlockGroup, ...]:
    """Blocks of a rougher quadrature where it pays; where there are lengths of blocks to keep, these have decided."""
    wanted = room.coarse if room.groups else pays(len(fine.weights), mole.natm, room.orbitals)
    if not wanted:
        return ()
    return make_groups(coarse_grid(mole, room.orbitals), shells, mole.atom_coords(), room.coarse, precision)
