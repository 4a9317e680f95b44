"""Forces −dE/dR of a converged SCF.

    dE/dR = ∂/∂R [tr(D h) + ½(D|D) − Σ c_k E_K + E_xc[ρ_D; R] + E_nn] − tr(W ∂S/∂R),   W = Σ_i f_i ε_i C_i C_iᵀ

at fixed D, by stationarity (Pulay, Mol. Phys. 17, 197 (1969), doi:10.1080/00268976900100941). Quadrature points stand
still, as in PySCF unless asked otherwise; the forces then add up to the grid's error instead of zero. With points that
move with their atoms, and the weights that they then have, they are the slope of the energy as it is computed, which
dynamics conserve.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from jqc.response.moving_grid import grid_gradient
from jqc.scf.occupation import FILLED
from jqc.scf.repulsion import check_exchange
from jqc.scf.result import SCFResult
from jqc.system import System
from jqc.system.basis import auxiliary_basis, make_mole
from jqc.system.integral_gradients import Exchange, exact_gradient, fitted_gradient, one_electron_gradient
from jqc.typing import Array, Float
from jqc.xc.base import Functional
from jqc.xc.quadrature import Features, features, read_by, xc_energy


def forces(result: SCFResult, *, moving_grid: bool = False) -> np.ndarray:
    """Forces on the nuclei in hartree/bohr, (atom, 3); with `moving_grid` those of the quadrature's points too.

    Raises
    ------
    ConvergenceError
        The result is not converged.
    InputError
        Points that were handed over cannot move.

    >>> import jax; jax.config.update("jax_enable_x64", True)
    >>> import jqc
    >>> hydrogen = jqc.Molecule.from_arrays(["H", "H"], [[0.0, 0.0, 0.0], [0.0, 0.0, 1.2]])
    >>> force = forces(jqc.scf(jqc.build_system(hydrogen), "pbe"))
    >>> bool(force[1, 2] > 0.05)  # pushed apart
    True
    """
    return -gradient(result.check(), moving_grid)


def gradient(result: SCFResult, moving_grid: bool = False) -> np.ndarray:
    """dE/dR in hartree/bohr, (atom, 3)."""
    system = result.system
    check_exchange(result.functional, system.exchange, moving=True)
    molecule = system.molecule
    n_ao, n_atoms = int(system.n_ao), len(np.asarray(molecule.numbers))
    mole = make_mole(molecule, system.basis)
    dm = np.asarray(result.dm).reshape(-1, n_ao, n_ao)
    total = one_electron_gradient(mole, dm.sum(0), energy_weighted(result))
    for omega in {0.0, *(omega for omega, _ in result.functional.exchange)}:
        total += _two_electron_gradient(mole, result, omega, dm.sum(0) if omega == 0 else None)
    padded = jnp.pad(jnp.asarray(dm), ((0, 0), *(((0, system.n_padded - n_ao),) * 2)))
    total += np.asarray(_xc_gradient(result.functional, system, padded, result.features))[:n_atoms]
    if moving_grid:
        total += grid_gradient(result.functional, system, padded, result.features)
    return total + nuclear_gradient(np.asarray(system.core_charges)[:n_atoms], np.asarray(molecule.coords))


def nuclear_gradient(charges: np.ndarray, coords: np.ndarray) -> np.ndarray:
    """∂/∂R of Σ_{A<B} Z_A Z_B/|R_A − R_B|, (atom, 3)."""
    apart = coords[:, None] - coords[None]
    distance = np.linalg.norm(apart, axis=-1) + np.where(np.eye(len(coords)) > 0, np.inf, 0.0)
    return -np.einsum("a,b,abx->ax", charges, charges, apart / distance[:, :, None] ** 3)


def energy_weighted(result: SCFResult) -> np.ndarray:
    """W = Σ_i f_i ε_i C_i C_iᵀ of both spins together, (ao, ao)."""
    mo_coeff, mo_energy, occupations = result.by_spin
    return np.einsum("smi,sni->mn", mo_coeff * (occupations * mo_energy)[:, None], mo_coeff)


def _two_electron_gradient(mole, result: SCFResult, omega: float, coulomb: np.ndarray | None) -> np.ndarray:
    """Coulomb energy (where its density is given) and the exact exchange of one range."""
    system, factors = result.system, occupied_factors(result)
    shares = [c * len(factors) / 2 for w, c in result.functional.exchange if w == omega]
    if system.coulomb == "exact":
        return exact_gradient(mole, omega, coulomb, [(a @ a.T, share) for share in shares for a in factors])
    exchange = [Exchange(a, share) for share in shares for a in factors]
    auxiliary, _ = auxiliary_basis(mole, system.aux_basis)
    return fitted_gradient(mole, auxiliary, omega, system.repulsion[omega], coulomb, exchange)


def occupied_factors(result: SCFResult) -> list[np.ndarray]:
    """A with D = A Aᵀ of each spin, from the orbitals that hold electrons."""
    mo_coeff, _, occupations = result.by_spin
    return [c[:, f > FILLED] * np.sqrt(f[f > FILLED]) for c, f in zip(mo_coeff, occupations, strict=True)]


@jax.jit
def _xc_gradient(
    functional: Functional, system: System, dm: Float[Array, "spin ao ao"], u: Features
) -> Float[Array, "atom 3"]:
    """∂E_xc/∂R at fixed density matrix and quadrature points, from the features u that the SCF ended with."""

    def at(coords):
        return replace(system, coords=coords)

    slope, explicit = jax.grad(lambda u, coords: xc_energy(functional, at(coords), u), argnums=(0, 1))(u, system.coords)
    pull = jax.vjp(lambda coords: features(at(coords), dm, read_by(functional)), system.coords)[1]
    return pull(slope)[0] + explicit
