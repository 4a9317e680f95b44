"""Orbital and auxiliary basis sets, as PySCF ships them or written out, and the shells that `gto` evaluates.

PySCF's `Mole` is made and read here and in `integrals`; nothing above the system layer sees one.
"""

import difflib
import json
import warnings
from copy import deepcopy
from functools import cache
from typing import Any

import numpy as np

from jqc.errors import BasisError
from jqc.system.gto import Shells
from jqc.system.molecule import Molecule
from jqc.system.padding import pad_axis, size_class

CHANGED = " with other parameters"
"""Ends the name of a basis whose numbers are not those of the set it is named after."""


def make_mole(molecule: Molecule, basis: str):
    """PySCF `Mole` of a molecule in a basis that is named or `written`.

    Raises:
        BasisError: no such basis, or it lacks an element of the molecule.
    """
    from pyscf import gto

    symbols = molecule.symbols
    functions, potentials = _functions(basis, sorted(set(symbols)))
    atoms = list(zip(symbols, np.asarray(molecule.coords).tolist(), strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mole = gto.M(
            atom=atoms,
            unit="Bohr",
            basis=functions,
            charge=molecule.charge,
            spin=molecule.spin,
            verbose=0,
            ecp=potentials,
        )
    mole.basis = basis
    return mole


def written(mole) -> str:
    """The functions and core potentials of a `Mole` as text that stands where a basis is named: JSON, by element.

    Functions are [l, [exponent, coefficient, …], …] of normalised primitives.

    Raises:
        BasisError: atoms of one element differ.
    """
    functions: dict[str, list] = {}
    potentials: dict[str, list] = {}
    for atom in range(mole.natm):
        element, label = mole.atom_pure_symbol(atom), mole.atom_symbol(atom)
        shells = [_written_shell(mole, shell) for shell in mole.atom_shell_ids(atom)]
        potential = mole._ecp.get(label, mole._ecp.get(element))
        if functions.setdefault(element, shells) != shells or potentials.setdefault(element, potential) != potential:
            raise BasisError(f"atoms of {element} carry different functions; give every element one basis.")
    given = {element: potential for element, potential in potentials.items() if potential}
    return json.dumps({"functions": functions, "potentials": given})


def _written_shell(mole, shell: int) -> list:
    primitives = np.column_stack([mole.bas_exp(shell), mole.bas_ctr_coeff(shell)])
    return [int(mole.bas_angular(shell)), *primitives.tolist()]


def _functions(basis: str, symbols: list[str]) -> tuple[Any, dict[str, Any]]:
    """What PySCF takes as basis and as core potentials."""
    if not _is_written(basis):
        shipped = {symbol: deepcopy(_shipped(basis, symbol)) for symbol in symbols}
        return shipped, {symbol: basis for symbol in symbols if _has_core_potential(basis, symbol)}
    content = json.loads(basis)
    for symbol in symbols:
        if symbol not in content["functions"]:
            raise BasisError(f"the basis written out has no functions for {symbol}; give one that covers it.")
    return content["functions"], content["potentials"]


def _is_written(basis: str) -> bool:
    return basis.startswith("{")


@cache
def _shipped(basis: str, symbol: str) -> list:
    """An element's functions in one of PySCF's sets, whose text takes milliseconds to read."""
    from pyscf.gto.basis import load

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return load(basis, symbol)
    except Exception as error:  # PySCF raises many kinds for a name it cannot read
        raise BasisError(_basis_message(basis, symbol)) from error


def _basis_message(basis: str, symbol: str) -> str:
    from pyscf.gto.basis import ALIAS

    if basis.endswith(CHANGED):
        return (
            f"{basis!r} cannot be made again by its name; start the SCF from a density matrix, ask for ranges before "
            "parameters are changed, and take forces from jax.grad."
        )
    known = sorted(ALIAS)
    if _normal(basis) in known:
        return f"basis {basis!r} has no functions for {symbol}; choose a basis that covers it."
    near = difflib.get_close_matches(_normal(basis), known, n=3)
    hint = f"; did you mean {', '.join(near)}?" if near else "; see pyscf.gto.basis for the names."
    return f"unknown basis {basis!r}{hint}"


def _normal(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "").replace(" ", "")


def _has_core_potential(basis: str, symbol: str) -> bool:
    """Whether the set replaces core electrons of this element (def2 from Rb on, …)."""
    from pyscf.data.elements import charge
    from pyscf.gto.basis import load_ecp

    if charge(symbol) <= 18:
        return False
    try:
        return bool(load_ecp(basis, symbol))
    except Exception:  # sets without potentials answer with errors of several kinds
        return False


def auxiliary_basis(mole, name: str | None, exchange: bool = True) -> tuple[Any, str]:
    """Fitting set and its name or text: as asked, def2-universal-jkfit for def2 sets, else even-tempered.

    Without exchange def2-universal-jfit serves, which is less than half as large.

    Raises:
        BasisError: no such auxiliary set, or it lacks an element.
    """
    from pyscf import df

    if name is None and str(mole.basis).lower().startswith("def2"):
        name = "def2-universal-jkfit" if exchange else "def2-universal-jfit"
    if name is None or name == "even-tempered":
        return df.addons.aug_etb(mole), "even-tempered"
    return _functions(name, sorted({mole.atom_pure_symbol(i) for i in range(mole.natm)}))[0], name


def make_shells(mole, n_ao: int, like: tuple[tuple[int, int], ...] = ()) -> tuple[Shells, ...]:
    """Shells of a `Mole` by angular momentum, padded; padding shells start at orbital `n_ao`.

    `like` gives the least places and primitives for each angular momentum.
    """
    rows: dict[int, list[tuple[np.ndarray, np.ndarray, int, int]]] = {}
    offset = 0
    for shell in range(mole.nbas):
        momentum = mole.bas_angular(shell)
        exponents = mole.bas_exp(shell)
        for column in mole._libcint_ctr_coeff(shell).T:
            rows.setdefault(momentum, []).append((exponents, column, mole.bas_atom(shell), offset))
            offset += 2 * momentum + 1
    room = [*like, *[(0, 0)] * (max(rows) + 1 - len(like))]
    return tuple(_stack(rows.get(l, []), n_ao, *least) for l, least in enumerate(room))


def _stack(rows: list[tuple[np.ndarray, np.ndarray, int, int]], n_ao: int, places: int, primitives: int) -> Shells:
    """One padding shell at least, so that a block's unused places have something to point at."""
    count = max(places, size_class(len(rows) + 1))
    primitives = max(primitives, *(len(row[0]) for row in rows), 1)
    exponents = np.ones((count, primitives))
    coefficients = np.zeros((count, primitives))
    for i, (exponent, coefficient, _, _) in enumerate(rows):
        # Primitives a contraction does not use are dropped: general contractions share exponents.
        used = coefficient != 0
        exponents[i, : used.sum()] = exponent[used]
        coefficients[i, : used.sum()] = coefficient[used]
    atom = pad_axis(np.array([row[2] for row in rows], dtype=np.int32), count)
    offset = pad_axis(np.array([row[3] for row in rows], dtype=np.int32), count, value=n_ao)
    return Shells(exponents, coefficients, atom, offset)  # pyright: ignore[reportArgumentType]


def shell_reach(shells: Shells, l: int, cutoff: float) -> np.ndarray:
    """Distance beyond which a shell's orbitals and their gradients stay below `cutoff`, in bohr, (shell,)."""
    r = np.linspace(1e-3, 60.0, 2400)
    gaussians = np.exp(-shells.exponents[:, :, None] * r**2)
    value = np.abs(np.einsum("sp,spr->sr", shells.coefficients, gaussians)) * r**l
    slope = np.abs(np.einsum("sp,sp,spr->sr", -2 * shells.exponents, shells.coefficients, gaussians)) * r ** (l + 1)
    envelope = np.sqrt((2 * l + 1) / (4 * np.pi)) * np.maximum(value, slope + l * value / r)
    significant = envelope > cutoff
    last = r.size - np.argmax(significant[:, ::-1], axis=1)
    return np.where(significant.any(axis=1), r[np.minimum(last, r.size - 1)], 0.0)
