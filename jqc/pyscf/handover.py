"""From jqc to PySCF: a density to start from, and a whole result."""

from typing import Any

import numpy as np
from pyscf import dft
from pyscf.scf import hf

from jqc.errors import InputError
from jqc.pyscf.integrator import with_functional
from jqc.pyscf.read import is_spin_resolved
from jqc.scf.result import SCFResult
from jqc.system import System
from jqc.system.basis import auxiliary_basis, make_mole
from jqc.typing import Float


def dm0(result: SCFResult, mf: hf.SCF) -> Float[np.ndarray, "*spin ao ao"]:
    """A result's density in the shape that `mf.kernel(dm0=...)` takes.

    An unrestricted object gets both spins, halves of a restricted density; orbitals are in the same order here and
    there.

    Raises
    ------
    InputError
        Other atoms or another number of orbitals, or an unrestricted density for a restricted object.

    >>> import jax; jax.config.update("jax_enable_x64", True)
    >>> import jqc
    >>> from pyscf import dft, gto
    >>> helium = jqc.Molecule.from_arrays(["He"], [[0.0, 0.0, 0.0]])
    >>> dm0(jqc.scf(jqc.build_system(helium), "pbe"), dft.UKS(gto.M(atom="He", basis="def2-svp", verbose=0))).shape
    (2, 5, 5)
    """
    dm, mol = np.array(result.dm), mf.mol
    symbols = [mol.atom_pure_symbol(atom) for atom in range(mol.natm)]
    own = list(result.system.molecule.symbols)
    if symbols != own:
        raise InputError(
            f"the density is of {' '.join(own)}, the mean-field object of {' '.join(symbols)}; use the same atoms."
        )
    if dm.shape[-1] != mol.nao:
        raise InputError(
            f"the density is in {dm.shape[-1]} orbitals, the mean-field object has {mol.nao}; use the same basis."
        )
    if is_spin_resolved(mf):
        return dm if dm.ndim == 3 else np.stack([dm, dm]) * 0.5
    if dm.ndim == 3:
        raise InputError(f"the density is unrestricted, {type(mf).__name__} is not; use UHF or UKS.")
    return dm


def mean_field(result: SCFResult) -> Any:
    """A result as PySCF's RKS or UKS object of the same basis, quadrature, fitting set, functional and orbitals.

    Response and gradients of PySCF run on it at once; `kernel()` starts from the result's density. Points move away
    from the result's when the object is given another geometry, where PySCF makes its default ones.

    Raises
    ------
    FunctionalError
        PySCF cannot integrate the functional, see `with_functional`.

    >>> import jax; jax.config.update("jax_enable_x64", True)
    >>> import jqc
    >>> helium = jqc.Molecule.from_arrays(["He"], [[0.0, 0.0, 0.0]])
    >>> result = jqc.scf(jqc.build_system(helium, "def2-svp"), "pbe")
    >>> bool(abs(mean_field(result).kernel() - result.energy) < 1e-6)
    True
    """
    system = result.system
    mole = make_mole(system.molecule, system.basis)
    mf: Any = dft.RKS(mole) if result.dm.ndim == 2 else dft.UKS(mole)
    if system.coulomb == "df":
        mf = mf.density_fit(auxbasis=auxiliary_basis(mole, system.aux_basis)[0])
    _set_points(mf, system)
    mf = with_functional(mf, result.functional)
    mf.mo_coeff, mf.mo_energy = np.array(result.mo_coeff), np.array(result.mo_energy)
    mf.mo_occ, mf.e_tot, mf.converged = np.array(result.occupations), result.energy, result.converged
    return mf


def _set_points(mf: Any, system: System) -> None:
    coords = np.concatenate([np.asarray(group.coords).reshape(-1, 3) for group in system.groups])
    weights = np.concatenate([np.asarray(group.weights).reshape(-1) for group in system.groups])
    counted = weights != 0
    mf.grids.coords, mf.grids.weights = coords[counted], weights[counted]
    mf.grids.non0tab = mf.grids.screen_index = mf.grids.make_mask(mf.mol, mf.grids.coords)
