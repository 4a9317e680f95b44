"""Orbitals and quadrature of a molecule without its integrals: all that a functional's energy reads."""

from dataclasses import dataclass, replace

import jax

from jqc.system.basis import make_mole, make_shells
from jqc.system.blocks import BlockGroup, GroupShape, group_orbitals, make_groups
from jqc.system.grid import COMPACT, molecular_grid
from jqc.system.gto import Shells
from jqc.system.lengths import Lengths, lengths_needed
from jqc.system.molecule import Molecule
from jqc.system.padding import pad_axis
from jqc.typing import Array, Float, Int


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Sampled:
    """What `System` holds of the same names, for where no integral is needed: training, plots of a density."""

    numbers: Int[Array, "atom"]
    coords: Float[Array, "atom 3"]
    shells: tuple[Shells, ...]
    groups: tuple[BlockGroup, ...]


def sample(molecule: Molecule, basis: str, grid_level: int | None = None, room: Lengths | None = None) -> Sampled:
    """Orbitals and quadrature (a compact one by default) as host arrays, in one group of unscreened blocks.

    Lengths are those of `room`, but for the number of blocks.
    """
    mole = make_mole(molecule, basis)
    room = lengths_needed(molecule, basis) if room is None else room
    shells = make_shells(mole, room.orbitals, room.shells)
    grid = molecular_grid(mole, COMPACT if grid_level is None else grid_level, room.orbitals)
    places = tuple(each.exponents.shape[0] - 1 for each in shells)
    whole = GroupShape(-(-len(grid.weights) // grid.block), room.orbitals, places)
    return Sampled(
        pad_axis(mole.atom_charges(), room.atoms),  # pyright: ignore[reportArgumentType]
        pad_axis(mole.atom_coords(), room.atoms),  # pyright: ignore[reportArgumentType]
        shells,
        make_groups(grid, shells, mole.atom_coords(), (whole,)),
    )


def with_orbitals(sampled: Sampled) -> Sampled:
    """φ and ∇φ evaluated once, for several passes over the quadrature within one program."""
    groups = (
        replace(group, orbitals=group_orbitals(sampled.shells, sampled.coords, group)) for group in sampled.groups
    )
    return replace(sampled, groups=tuple(groups))
