"""From a molecule to a `System`: everything that the energy needs at one geometry, computed on the host once."""

from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import numpy as np

from jqc.errors import InputError
from jqc.numerics import require_double_precision
from jqc.system.basis import auxiliary_basis, make_mole, make_shells
from jqc.system.blocks import PRECISIONS, BlockGroup, make_groups
from jqc.system.budget import Plan, memory_bytes, orbital_budget
from jqc.system.coarse import coarse_groups
from jqc.system.factors import Factor
from jqc.system.grid import check_level, compact_grid, molecular_grid
from jqc.system.gto import Shells
from jqc.system.integrals import one_electron
from jqc.system.lengths import Lengths, lengths_of, occupied_columns
from jqc.system.molecule import Molecule
from jqc.system.padding import pad_axis, size_class
from jqc.system.repulsion import factor_like, make_factor, plan_for
from jqc.system.seminumerical import grid_exchange
from jqc.timing import stage
from jqc.typing import Array, Float, Int


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class System:
    """What E[P] needs at one geometry, padded to size classes; `n_ao` counts the orbitals that are real.

    Two-electron integrals are factors (μν|λσ) = Σ_L B_Lμν B_Lλσ over packed pairs μ ≥ ν, one per range ω; `exchange`
    says whether they serve exact exchange too ("df"), or the host's quadrature `on_grid` does ("grid"), or nothing.
    Padded orbitals have zero rows in every matrix, padded fitting functions zero rows in B, padded points zero weight.
    `coarse` holds the blocks of a rougher quadrature for the first iterations, where that pays.
    `occupied` columns are enough for the occupied orbitals of either spin, padding included.
    `basis` and `aux_basis` are names, or texts where a basis has none.
    """

    numbers: Int[Array, "atom"]
    coords: Float[Array, "atom 3"]
    electrons: Int[Array, "2"]
    n_ao: Int[Array, ""]
    nuclear_repulsion: Float[Array, ""]
    overlap: Float[Array, "ao ao"]
    kinetic: Float[Array, "ao ao"]
    attraction: Float[Array, "ao ao"]
    dipole: Float[Array, "3 ao ao"]
    ao_atom: Int[Array, "ao"]
    core_charges: Float[Array, "atom"]
    repulsion: dict[float, Factor]
    on_grid: Int[Array, ""] | None
    shells: tuple[Shells, ...]
    groups: tuple[BlockGroup, ...]
    coarse: tuple[BlockGroup, ...]
    occupied: int = field(metadata={"static": True})
    basis: str = field(metadata={"static": True})
    aux_basis: str = field(metadata={"static": True})
    coulomb: str = field(metadata={"static": True})
    exchange: str = field(metadata={"static": True})
    orbital_bytes: int = field(metadata={"static": True})

    @property
    def n_padded(self) -> int:
        """Orbitals with padding: the length of every `ao` axis."""
        return self.overlap.shape[0]

    @property
    def n_factor(self) -> int:
        """Fitting functions (or Cholesky vectors) with padding."""
        return self.repulsion[0.0].shape[0]

    @property
    def molecule(self) -> Molecule:
        """The molecule without padding."""
        numbers = np.asarray(self.numbers)
        real = numbers > 0
        alpha, beta = (int(n) for n in self.electrons)
        charge = round(float(np.sum(self.core_charges))) - alpha - beta
        return Molecule(numbers[real], np.asarray(self.coords)[real], charge, alpha - beta)


def build_system(
    molecule: Molecule,
    basis: str = "def2-svp",
    aux_basis: str | None = None,
    coulomb: str = "df",
    grid_level: int = 3,
    like: System | Lengths | None = None,
    grid: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    exchange: str = "df",
    precision: str = "double",
    memory: int | str | None = None,
) -> System:
    """Integrals and quadrature of a molecule, through libcint on the host.

    Parameters
    ----------
    molecule
        Positions in bohr, charge and spin.
    basis
        Orbital basis, any that PySCF ships, or one written out (`jqc.system.basis.written`).
    aux_basis
        Fitting set; by default def2-universal-jkfit for def2 sets and an even-tempered one otherwise.
    coulomb
        "df" for density fitting, "exact" for four-centre integrals.
    grid_level
        PySCF's grid level, 0 (coarse) to 9 (fine).
    like
        A system of the same molecule at another geometry, or of one of the same size: array shapes are kept where
        they suffice, so that programs compiled for it serve again. Its shapes alone, `jax.eval_shape(lambda: like)`,
        do as well and hold no memory. `Lengths` that molecules of several sizes share are kept by all of them.
    grid
        Points (grid, 3) in bohr and weights (grid,) to use instead of a level.
    exchange
        "df": exact exchange from the density fitting; "grid": seminumerically, from a quadrature on the host; "none":
        for functionals without any. The latter two take a fitting set for the Coulomb energy alone, by default
        def2-universal-jfit.
    precision
        Of orbitals on the grid and products with them, "double" or "single"; everything else stays double.
    memory
        Bytes that the SCF may take, or a text as "8GB": two-electron integrals that find no room are streamed from the
        disk, orbitals on the grid evaluated again. By default half of the machine's memory is for integrals.

    Raises
    ------
    InputError
        An unknown basis, Coulomb treatment, exchange, precision or grid level, a grid of other shapes, or JAX in single
        precision.
    MemoryLimitError
        More memory is needed than is granted; said before anything is computed.

    >>> import jax; jax.config.update("jax_enable_x64", True)
    >>> helium = Molecule.from_arrays(["He"], [[0.0, 0.0, 0.0]])
    >>> system = build_system(helium, "def2-svp", grid_level=0)
    >>> int(system.n_ao), system.aux_basis
    (5, 'def2-universal-jkfit')
    """
    _check_options(coulomb, grid_level, grid, exchange, precision)
    granted = memory_bytes(memory) if isinstance(memory, str) else memory
    mole = make_mole(molecule, basis)
    fitted = coulomb == "df"
    auxiliary, aux_name = auxiliary_basis(mole, aux_basis, exchange == "df") if fitted else (None, "none")
    planned = plan_for(mole, auxiliary, grid_level, granted) if fitted else Plan("whole", orbital_budget())
    with stage("integrals"):
        matrices = one_electron(mole)
        room = _room(like, mole)
        factor = make_factor(mole, auxiliary, 0.0, planned.storage, room.orbitals, room.factors)
    with stage("grid"):
        shells = make_shells(mole, room.orbitals, room.shells)
        quadrature = (
            molecular_grid(mole, grid_level, room.orbitals) if grid is None else compact_grid(*grid, room.orbitals)
        )
        groups = make_groups(quadrature, shells, mole.atom_coords(), room.groups, precision)
        coarse = coarse_groups(mole, shells, room, quadrature, precision) if grid is None else ()
    return _assemble(
        molecule,
        mole,
        matrices,
        room,
        repulsion={0.0: factor},
        on_grid=grid_exchange(mole) if exchange == "grid" else None,
        shells=jax.tree.map(jnp.asarray, shells),
        groups=jax.tree.map(jnp.asarray, groups),
        coarse=jax.tree.map(jnp.asarray, coarse),
        basis=basis,
        aux_basis=aux_name,
        coulomb=coulomb,
        exchange=exchange,
        orbital_bytes=planned.orbital_bytes,
    )


CHOICES = {"coulomb": ("df", "exact"), "exchange": ("df", "grid", "none"), "precision": tuple(PRECISIONS)}
"""What `build_system` knows under each option."""


def check_choices(**options: str) -> None:
    """Refuse what `build_system` does not know under an option.

    Raises:
        InputError: it is none of `CHOICES`.
    """
    for name, value in options.items():
        if value not in CHOICES[name]:
            raise InputError(f"unknown {name} {value!r}; choose {' or '.join(map(repr, CHOICES[name]))}.")


def _check_options(
    coulomb: str, grid_level: int, grid: tuple[np.ndarray, np.ndarray] | None, exchange: str, precision: str
) -> None:
    require_double_precision()
    check_choices(coulomb=coulomb, exchange=exchange, precision=precision)
    if coulomb == "exact" and exchange != "df":
        raise InputError(f"exchange={exchange!r} goes with coulomb='df'; exact integrals serve exchange as they are.")
    check_level(grid_level)
    if grid is not None and (np.ndim(grid[1]) != 1 or np.shape(grid[0]) != (*np.shape(grid[1]), 3)):
        raise InputError(
            f"points of shape {np.shape(grid[0])} and weights of shape {np.shape(grid[1])} make no grid; "
            "give (grid, 3) and (grid,)."
        )


def _room(like: System | Lengths | None, mole) -> Lengths:
    """Lengths to fill at least; a system of another size is no pattern."""
    least = Lengths(size_class(mole.natm), size_class(mole.nao), occupied_columns(mole))
    if isinstance(like, System):
        like = lengths_of(like) if like.n_padded == least.orbitals else None
    return least if like is None else like.joined(least)


def _assemble(molecule, mole, matrices, room: Lengths, **others) -> System:
    """Pad everything to its length and hand it to the device."""
    n_padded, n_atoms = room.orbitals, room.atoms

    def square(matrix):
        return jnp.asarray(pad_axis(pad_axis(matrix, n_padded, -1), n_padded, -2))

    ao_atom = np.repeat(np.arange(mole.natm), np.diff(mole.aoslice_by_atom()[:, 2:], axis=1)[:, 0])
    return System(
        numbers=jnp.asarray(pad_axis(np.asarray(molecule.numbers), n_atoms)),
        coords=jnp.asarray(pad_axis(np.asarray(molecule.coords), n_atoms)),
        electrons=jnp.asarray(mole.nelec),
        n_ao=jnp.asarray(mole.nao),
        nuclear_repulsion=jnp.asarray(mole.energy_nuc()),
        overlap=square(matrices["overlap"]),
        kinetic=square(matrices["kinetic"]),
        attraction=square(matrices["attraction"]),
        dipole=square(matrices["dipole"]),
        ao_atom=jnp.asarray(pad_axis(ao_atom, n_padded, value=n_atoms)),
        core_charges=jnp.asarray(pad_axis(mole.atom_charges().astype(float), n_atoms)),
        occupied=room.occupied,
        **others,
    )


def with_range(system: System, omegas: tuple[float, ...]) -> System:
    """The system with attenuated two-electron integrals for the ranges ω that a functional's exact exchange asks for.

    Where the system was built for other exchange than by density fitting there is nothing to add.
    """
    missing = [omega for omega in omegas if omega not in system.repulsion]
    if not missing or system.exchange != "df":
        return system
    with stage("integrals"):
        mole = make_mole(system.molecule, system.basis)
        added = {omega: factor_like(system, mole, omega) for omega in missing}
    return replace(system, repulsion=system.repulsion | added)
