"""From PySCF's mean-field objects: the same basis, integrals and quadrature as a `System`, and the density."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from pyscf import df
from pyscf.data.elements import charge as atomic_number
from pyscf.scf import hf, rohf, uhf

from jqc.errors import BasisError, InputError
from jqc.system import Molecule, System, build_system
from jqc.system.basis import auxiliary_basis, make_mole, written
from jqc.typing import Float

SAME_INTEGRALS = 1e-9
"""Largest difference of one-electron integrals that are the same, hartree."""


def system(mf: hf.SCF) -> System:
    """The problem that a PySCF mean-field object solves, as jqc computes it.

    Orbitals are those of `mf.mol` in PySCF's order, quadrature points and weights those of `mf.grids` (level 3 where a
    Hartree–Fock object has none), Coulomb integrals fitted with the set of `mf.with_df`, exact without one.
    Functional, density and solver settings are not part of a system; dispersion and VV10 corrections neither.

    Parameters
    ----------
    mf
        RHF, ROHF, UHF, RKS, ROKS or UKS of a molecule in spherical Gaussians, solved or not. It is left as it is.

    Raises
    ------
    InputError
        A periodic, relativistic or generalised object, Cartesian Gaussians, ghost atoms, a Hamiltonian other than the
        molecule's own (external charges or fields, X2C, solvents), or integrals neither all fitted nor all exact.

    >>> import jax; jax.config.update("jax_enable_x64", True)
    >>> import jqc
    >>> from pyscf import dft, gto
    >>> mf = dft.RKS(gto.M(atom="He", basis="6-31g", verbose=0), xc="pbe").run()
    >>> ours = jqc.energy(jqc.functional("pbe"), system(mf), density(mf))
    >>> bool(abs(ours - mf.e_tot) < 1e-8)
    True
    """
    _check(mf)
    mol = mf.mol
    n_alpha, n_beta = mf.nelec if is_spin_resolved(mf) else mol.nelec
    numbers = [atomic_number(mol.atom_symbol(atom)) for atom in range(mol.natm)]
    total_charge = int(mol.atom_charges().sum()) - n_alpha - n_beta
    molecule = Molecule.from_arrays(numbers, mol.atom_coords(), "bohr", total_charge, n_alpha - n_beta)
    basis, aux_basis = _name_or_text(mol.basis, mol, partial(make_mole, molecule)), _fitting_set(mf)
    coulomb = "exact" if aux_basis is None else "df"
    built = build_system(molecule, basis, aux_basis, coulomb, grid=_points(mf))
    _check_integrals(mf, built)
    return built


def density(mf: hf.SCF) -> Float[np.ndarray, "*spin ao ao"]:
    """Density matrix of a PySCF mean-field object in jqc's shape, (ao, ao) or, unrestricted, (2, ao, ao).

    Raises
    ------
    InputError
        The object holds no orbitals yet, or complex ones.
    """
    _check(mf)
    if mf.mo_coeff is None:
        raise InputError("the mean-field object holds no orbitals yet; run mf.kernel() first.")
    dm = np.array(mf.make_rdm1())
    if np.iscomplexobj(dm):
        raise InputError("the density matrix is complex; jqc computes with real orbitals.")
    return dm


def is_spin_resolved(mf: hf.SCF) -> bool:
    """Whether a mean-field object's density matrices have a spin axis."""
    return isinstance(mf, uhf.UHF | rohf.ROHF)


def _check(mf: Any) -> None:
    """Refuse what is no molecule's real restricted or unrestricted mean field in spherical Gaussians."""
    name = type(mf).__name__
    if hasattr(mf, "cell"):
        raise InputError(f"{name} is periodic, jqc solves molecules; give a mean-field object of a molecule.")
    if not isinstance(mf, hf.RHF | uhf.UHF):
        raise InputError(f"received {name}; give an RHF, ROHF, UHF, RKS, ROKS or UKS object of PySCF.")
    mol = mf.mol
    if mol.cart:
        raise InputError("the basis is of Cartesian Gaussians; build the molecule with cart=False.")
    ghosts = [mol.atom_symbol(atom) for atom in range(mol.natm) if atomic_number(mol.atom_symbol(atom)) == 0]
    if ghosts:
        raise InputError(f"the molecule has ghost atoms ({', '.join(ghosts)}); jqc has none, take them out.")
    if hasattr(mf, "with_solvent"):
        raise InputError(f"{name} is in a solvent; give the mean-field object of the molecule alone.")


def _name_or_text(name: Any, mol: Any, mole_in: Callable[[str], Any]) -> str:
    """A basis by its name, where that alone makes the functions of `mol`, else written out."""
    text = written(mol)
    try:
        return name if isinstance(name, str) and written(mole_in(name)) == text else text
    except BasisError:  # a text in another format than ours
        return text


def _fitting_set(mf: Any) -> str | None:
    """Name or text of the fitting set; None where integrals are exact."""
    fitted = getattr(mf, "with_df", None)
    if not fitted:
        return None
    if not isinstance(fitted, df.DF) or mf.only_dfj:
        raise InputError(
            f"{type(mf).__name__} treats Coulomb and exchange integrals differently; use mf.density_fit() for both, "
            "or for neither."
        )
    auxmol = df.make_auxmol(mf.mol, fitted.auxbasis)
    return _name_or_text(fitted.auxbasis, auxmol, lambda name: df.make_auxmol(mf.mol, auxiliary_basis(mf.mol, name)[0]))


def _points(mf: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Points and weights of the object, built aside where it has not done so yet; None for Hartree–Fock."""
    if not isinstance(mf, hf.KohnShamDFT):
        return None
    given: Any = mf
    grids = given.grids if given.grids.coords is not None else given.grids.copy().build()
    return np.asarray(grids.coords), np.asarray(grids.weights)


def _check_integrals(mf: Any, built: System) -> None:
    """What was built must have the object's own overlap and one-electron Hamiltonian."""
    n_ao = int(built.n_ao)

    def differs(ours, theirs) -> bool:
        theirs = np.asarray(theirs)
        return theirs.shape != (n_ao, n_ao) or not np.allclose(ours[:n_ao, :n_ao], theirs, rtol=0, atol=SAME_INTEGRALS)

    if differs(built.overlap, mf.get_ovlp()):
        raise InputError("the basis cannot be carried over; name it, or give every element one in mol.basis.")
    if differs(built.kinetic + built.attraction, mf.get_hcore()):
        raise InputError(
            "the one-electron Hamiltonian is not the molecule's own; jqc has no external charges, fields or "
            "relativistic corrections."
        )
