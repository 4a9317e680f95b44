"""A `System` that is a differentiable function of nuclear positions and basis parameters, for small molecules.

Libcint's integrals over primitives (`jqc.system.primitives`) carry derivatives of every order; contraction,
normalisation and the fitting's Cholesky factor are JAX. Quadrature points and weights, the fitting set and the choice
of shells that reach a block of points stand still. `build_system` is faster and smaller wherever nothing is
differentiated, and `jqc.forces` wherever the energy's gradient is all that is asked for.
"""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jqc.errors import InputError, MemoryLimitError
from jqc.system.basis import CHANGED, auxiliary_basis, make_mole
from jqc.system.build import System
from jqc.system.gto import Shells
from jqc.system.integrals import kept_directions, metric_root
from jqc.system.parameters import BasisParameters, BasisShell, basis_parameters, normalised, require_same_shells
from jqc.system.primitives import Operator, Primitives, integrals, position_integrals, shell_of
from jqc.typing import Array, Float

TABLE_LIMIT = 2 << 30
"""Bytes of primitive three-centre integrals; each direction of derivatives takes about as much again."""


def traced_system(
    system: System, coords: Float[Array, "atom 3"] | None = None, basis: BasisParameters | None = None
) -> System:
    """The system at other positions and with other basis parameters, differentiable in both.

    With B = L⁻¹(P|μν), L Lᵀ = (P|Q), every array of the System follows but the quadrature. Below grid level 2 second
    derivatives by positions of heavy atoms are meaningless, as core orbitals leave points that stand still.
    Derivatives of a converged SCF are those of `jqc.scf.implicit.relaxed_dm`; forward, reverse and nested modes work.
    Compile what comes after (`jax.jit` of a function of the System), not this: eagerly libcint is called as it is,
    under `jit` through a host callback, which keeps the program out of JAX's cache.

    Parameters
    ----------
    system
        From `build_system` with coulomb="df", without core potentials; its ranges ω are built again.
    coords
        Positions in bohr; by default the system's own.
    basis
        What `basis_parameters` returns, with other numbers; by default the system's own. Functions that need the
        basis by name (`jqc.forces`, named guesses) refuse a system with other parameters.

    Raises
    ------
    InputError
        Four-centre integrals, core potentials, positions of another molecule, or a system that is traced itself.
    BasisError
        Shells that are not those of the system's basis.
    MemoryLimitError
        A molecule too large for this.

    >>> import jax; jax.config.update("jax_enable_x64", True)
    >>> import jqc
    >>> from jqc.scf.grassmann import point
    >>> from jqc.scf.implicit import relaxed_dm
    >>> hydrogen = jqc.Molecule.from_arrays(["H", "H"], [[0.0, 0.0, 0.0], [0.0, 0.0, 1.2]])
    >>> result = jqc.scf(jqc.build_system(hydrogen, "6-31g", grid_level=1), "hf")
    >>> at = point(result.system, result.mo_coeff)
    >>> @jax.jit
    ... def relaxed(functional, system):
    ...     return jqc.energy(functional, system, relaxed_dm(functional, system, at, order=1))
    >>> def energy(coords):
    ...     return relaxed(result.functional, traced_system(result.system, coords))
    >>> slope = jax.grad(energy)(hydrogen.coords)
    >>> bool(jnp.allclose(slope, -jqc.forces(result), atol=1e-6))
    True
    """
    mole, molecule_coords = _host_molecule(system)
    coords = jnp.asarray(molecule_coords if coords is None else coords)
    if coords.shape != molecule_coords.shape:
        raise InputError(f"positions have shape {coords.shape}; this molecule needs {molecule_coords.shape}.")
    own = basis_parameters(system)
    if basis is not None:
        require_same_shells(basis, own)
    placed = [
        (atom, shell)
        for atom in range(mole.natm)
        for shell in (own if basis is None else basis)[mole.atom_pure_symbol(atom)]
    ]
    orbitals = _place(placed, coords)
    moved = replace(
        system,
        coords=_padded(coords, system.coords.shape),
        nuclear_repulsion=_nuclear_repulsion(np.asarray(mole.atom_charges(), dtype=float), coords),
        repulsion=_repulsion(system, mole, orbitals, coords),
        groups=tuple(replace(group, orbitals=None) for group in system.groups),
        **_one_electron(system, orbitals, coords, mole.atom_charges()),
    )
    if basis is None:
        return moved
    return replace(
        moved, basis=f"{system.basis}{CHANGED}", shells=_shells(tuple(shell for _, shell in placed), system.shells)
    )


def _host_molecule(system: System) -> tuple:
    """PySCF's molecule and its positions, where a differentiable system can be made.

    Raises:
        InputError: see `traced_system`.
    """
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(system)):
        raise InputError("a traced system cannot be traced again; hand over the one that build_system returned.")
    if not all(isinstance(factor, jax.Array) for factor in system.repulsion.values()):
        raise InputError(
            "a system that keeps some pairs only is too large to be traced; use a smaller one, or jqc.forces."
        )
    if system.coulomb != "df":
        raise InputError(
            f"coulomb={system.coulomb!r} has no differentiable factor (pivoted Cholesky); build the system with "
            "coulomb='df'."
        )
    mole = make_mole(system.molecule, system.basis)
    if mole.has_ecp():
        raise InputError(f"{system.basis} has core potentials, which are not differentiable here; use a full basis.")
    return mole, np.asarray(system.molecule.coords)


@dataclass(frozen=True)
class _Orbitals:
    """Primitives and the matrix that contracts their Cartesian functions, (function, orbital)."""

    primitives: Primitives
    contraction: Array


def _contracted(table: Array, contraction: Array, *axes: int) -> Array:
    """Orbitals in place of primitives along some axes."""
    for axis in axes:
        table = jnp.moveaxis(jnp.tensordot(table, contraction, axes=(axis, 0)), -1, axis)
    return table


def _place(placed: list[tuple[int, BasisShell]], coords: Array) -> _Orbitals:
    """Shells on their atoms."""
    owners = np.repeat([atom for atom, _ in placed], [shell.exponents.shape[0] for _, shell in placed])
    momenta = tuple(shell.momentum for _, shell in placed for _ in range(shell.exponents.shape[0]))
    exponents = jnp.concatenate([shell.exponents for _, shell in placed])
    contraction = _contraction(tuple(shell for _, shell in placed))
    return _Orbitals(Primitives(coords[owners], exponents, momenta), contraction)


@jax.jit
def _contraction(shells: tuple[BasisShell, ...]) -> Float[Array, "function ao"]:
    """Normalised spherical orbitals from Cartesian primitives."""
    from pyscf.gto import cart2sph

    return jax.scipy.linalg.block_diag(*(jnp.kron(normalised(shell), cart2sph(shell.momentum)) for shell in shells))


def _place_fitting(auxmol, coords: Array) -> _Orbitals:
    """The fitting set, whose parameters are constants, on its atoms."""
    from pyscf.gto import cart2sph
    from scipy.linalg import block_diag

    shells = range(auxmol.nbas)
    lengths = [auxmol.bas_nprim(shell) for shell in shells]
    owners = np.repeat([auxmol.bas_atom(shell) for shell in shells], lengths)
    momenta = tuple(np.repeat([auxmol.bas_angular(shell) for shell in shells], lengths).tolist())
    exponents = jnp.concatenate([auxmol.bas_exp(shell) for shell in shells])
    blocks = [np.kron(auxmol._libcint_ctr_coeff(s), cart2sph(auxmol.bas_angular(s))) for s in shells]
    return _Orbitals(Primitives(coords[owners], exponents, momenta), jnp.asarray(block_diag(*blocks)))


def _padded(array: Array, shape: tuple[int, ...]) -> Array:
    """Zeros appended up to a shape."""
    return jnp.pad(array, [(0, n - m) for n, m in zip(shape, array.shape, strict=True)])


def _one_electron(system: System, orbitals: _Orbitals, coords: Array, charges) -> dict[str, Array]:
    """Overlap, kinetic energy, attraction by point charges and dipole integrals."""
    bra = orbitals.primitives
    nuclei = Primitives(coords, jnp.ones(len(coords)), (0,) * len(coords))
    tables = {
        "overlap": integrals(Operator("overlap"), bra, bra),
        "kinetic": integrals(Operator("kinetic"), bra, bra),
        "attraction": integrals(Operator("potential"), bra, bra, nuclei),
        "dipole": position_integrals(bra, bra),
    }
    found = _matrices(tables, orbitals.contraction, jnp.asarray(charges, dtype=float))
    return {name: _padded(matrix, getattr(system, name).shape) for name, matrix in found.items()}


@jax.jit
def _matrices(tables: dict[str, Array], contraction: Array, charges: Array) -> dict[str, Array]:
    tables = tables | {"attraction": -tables["attraction"] @ charges}
    return {name: _contracted(table, contraction, -1, -2) for name, table in tables.items()}


def _nuclear_repulsion(charges: np.ndarray, coords: Array) -> Float[Array, ""]:
    """Σ_{A<B} Z_A Z_B/|R_A − R_B|; pairs are listed, so that no distance is zero."""
    first, second = np.triu_indices(len(charges), 1)
    return jnp.sum(charges[first] * charges[second] / jnp.linalg.norm(coords[first] - coords[second], axis=-1))


def _repulsion(system: System, mole, orbitals: _Orbitals, coords: Array) -> dict[float, Array]:
    """Whitened fitting tensors of every range, packed and padded as `build_system` does."""
    from pyscf import df

    auxmol = df.addons.make_auxmol(mole, auxiliary_basis(mole, system.aux_basis)[0])
    fitting = _place_fitting(auxmol, coords)
    functions = [len(shell_of(side.primitives.momenta)) for side in (orbitals, fitting)]
    size = 8 * functions[0] ** 2 * functions[1]
    if size > TABLE_LIMIT:
        raise MemoryLimitError(
            f"primitive integrals of this molecule take {size / 2**30:.1f} GiB, more than {TABLE_LIMIT / 2**30:.0f} "
            "GiB; use a smaller molecule or basis, or jqc.forces."
        )
    return {
        omega: _padded(_fitted(omega, _directions(auxmol, omega), orbitals, fitting), factor.shape)
        for omega, factor in system.repulsion.items()
    }


def _directions(auxmol, omega: float) -> np.ndarray | None:
    """Directions U that a singular metric is restricted to, (aux, kept); none where it is not singular."""
    with auxmol.with_range_coulomb(omega):
        if metric_root(auxmol).triangular:
            return None
        return kept_directions(auxmol.intor("int2c2e", hermi=1))[1]


def _fitted(omega: float, directions: np.ndarray | None, orbitals: _Orbitals, fitting: _Orbitals) -> Array:
    """Whitened tensor of one range, (aux, pair)."""
    aux, bra = fitting.primitives, orbitals.primitives
    metric = integrals(Operator("metric", omega), aux, aux)
    table = integrals(Operator("fitting", omega), bra, bra, aux)
    return _whitened(metric, table, orbitals.contraction, fitting.contraction, directions)


@jax.jit
def _whitened(metric: Array, table: Array, orbitals: Array, fitting: Array, directions: Array | None) -> Array:
    """B = L⁻¹(P|μν), or B = U L⁻¹ Uᵀ(P|μν) with L Lᵀ = Uᵀ(P|Q)U and U held.

    Where U are eigenvectors the latter is the symmetric root that `fitted_tensor` takes.
    """
    metric = _contracted(metric, fitting, 0, 1)
    table = _contracted(_contracted(table, fitting, 2), orbitals, 0, 1)
    tensor = table[np.tril_indices(table.shape[0])].T
    if directions is None:
        return jax.scipy.linalg.solve_triangular(jnp.linalg.cholesky(metric), tensor, lower=True)
    root = jnp.linalg.cholesky(directions.T @ metric @ directions)
    return directions @ jax.scipy.linalg.solve_triangular(root, directions.T @ tensor, lower=True)


@jax.jit
def _shells(shells: tuple[BasisShell, ...], like: tuple[Shells, ...]) -> tuple[Shells, ...]:
    """Shells as `make_shells` lists them, with other parameters; also primitives that a contraction leaves out."""
    found = []
    for l, old in enumerate(like):
        columns = [(s.exponents, column) for s in shells if s.momentum == l for column in normalised(s).T]
        shape = (len(old.atom), max([len(exponents) for exponents, _ in columns], default=1))
        exponents, coefficients = jnp.ones(shape), jnp.zeros(shape)
        for row, (exponent, column) in enumerate(columns):
            exponents = exponents.at[row, : len(exponent)].set(exponent)
            coefficients = coefficients.at[row, : len(column)].set(column)
        found.append(replace(old, exponents=exponents, coefficients=coefficients))
    return tuple(found)
