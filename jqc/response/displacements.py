"""How a molecule answers to displacements of its nuclei: second derivatives of the energy, derivatives of the dipole.

With D(x; R) of right rank at every geometry (`jqc.scf.implicit.chart`), f_a = ∂²E/∂x∂R_a and the orbital Hessian H₀,

    ∂²E/∂R_a∂R_b = (∂²E/∂R_a∂R_b)_x + f_a·x_b,     H₀ x_b = −f_b

(Pople, Krishnan, Schlegel & Binkley, Int. J. Quantum Chem. Symp. 13, 225 (1979), doi:10.1002/qua.560160825). Quadrature
points stand still, as for forces. The part of exchange and correlation is the derivative of the derivative, for any
functional.
"""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from jqc.davidson import BLOCK
from jqc.response.forces import energy_weighted
from jqc.response.operators import OrbitalResponse
from jqc.scf.grassmann import Point
from jqc.scf.kernel import Reference, fock_response
from jqc.scf.repulsion import check_exchange
from jqc.scf.result import SCFResult
from jqc.system import System
from jqc.system.basis import auxiliary_basis, make_mole
from jqc.system.exact_hessians import exact_slopes
from jqc.system.fitted_hessians import fitted_slopes
from jqc.system.integral_gradients import Exchange
from jqc.system.integral_hessians import (
    Slopes,
    core_slopes,
    dipole_slopes,
    nuclear_hessian,
    one_electron_hessian,
    overlap_slopes,
)
from jqc.typing import Array, Float
from jqc.xc.base import Functional
from jqc.xc.quadrature import features, read_by, xc_energy


@dataclass(frozen=True)
class Displacements:
    """Answers to the 3N displacements, atom by atom, x, y, z: `move`.

    `hessian` (move, move) in hartree/bohr², `dipole_slopes` ∂μ_i/∂R (3, move) in e, and the orbitals' first-order
    rotation `tangents` (move, spin, virt, occ) at `at`.
    """

    hessian: np.ndarray
    dipole_slopes: np.ndarray
    tangents: np.ndarray
    at: Point


def displacements(result: SCFResult) -> Displacements:
    """Nuclear Hessian and dipole derivatives of a converged SCF.

    Raises
    ------
    ConvergenceError
        The SCF or its response is not converged.
    InputError
        Fractional occupations, or exact exchange from the host's quadrature.

    >>> import jax; jax.config.update("jax_enable_x64", True)
    >>> import jqc
    >>> hydrogen = jqc.Molecule.from_arrays(["H", "H"], [[0.0, 0.0, 0.0], [0.0, 0.0, 1.4]])
    >>> answers = displacements(jqc.scf(jqc.build_system(hydrogen), "lda"))
    >>> bool(answers.hessian[2, 2] > 0.3)  # the bond's spring
    True
    """
    check_exchange(result.functional, result.system.exchange, moving=True)
    response = OrbitalResponse.around(result)
    frozen = _Frozen.of(result, response)
    answers = response.answer(frozen.right)
    left = frozen.left(answers)
    occupied, energies = frozen.occupied, frozen.energies
    moved = left @ energies
    strain = frozen.overlap @ occupied[:, None].swapaxes(0, 1)
    hessian = frozen.hessian + 2 * _paired(frozen.focks, left)
    hessian -= 2 * _paired(strain, moved) + frozen.electrons * _paired(frozen.strain, frozen.multipliers)
    return Displacements(0.5 * (hessian + hessian.T), _dipole_slopes(result, frozen, left), answers, response.at)


def _paired(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Σ one_a other_b over everything but the moves."""
    return one.reshape(len(one), -1) @ other.reshape(len(other), -1).T


def _dipole_slopes(result: SCFResult, frozen: "_Frozen", left: np.ndarray) -> np.ndarray:
    n_ao, system = int(result.system.n_ao), result.system
    dm = np.asarray(result.dm).reshape(-1, n_ao, n_ao).sum(0)
    moments = np.asarray(system.dipole)[:, :n_ao, :n_ao]
    mole = make_mole(system.molecule, system.basis)
    images = np.einsum("imn,sno->ismo", moments, frozen.occupied)
    electrons = 2 * _paired(images, left) + dipole_slopes(mole, dm)
    charges = np.asarray(system.core_charges)[: mole.natm]
    return np.kron(charges, np.eye(3)) - electrons


@dataclass(frozen=True)
class _Frozen:
    """What displacements do while the orbitals, made orthonormal again, do not answer.

    `occupied` (spin, ao, occ) and `virtual`, `energies` F_oo, `overlap` ∂S (move, 1, ao, ao), `strain` C_oᵀ ∂S C_o,
    `focks` ∂F C_o with the response to the strain, `multipliers` ∂F_oo at fixed density less the strain's part,
    `right` the right-hand sides of the response.
    """

    electrons: float
    occupied: np.ndarray
    virtual: np.ndarray
    energies: np.ndarray
    hessian: np.ndarray
    overlap: np.ndarray
    strain: np.ndarray
    focks: np.ndarray
    multipliers: np.ndarray
    right: np.ndarray

    @classmethod
    def of(cls, result: SCFResult, response: OrbitalResponse) -> "_Frozen":
        """Integrals' derivatives and the Fock matrix's answer to the strain."""
        system, at = result.system, response.at
        n_ao, padded = int(system.n_ao), system.n_padded
        n = at.electrons_per_orbital
        mole = make_mole(system.molecule, system.basis)
        occupied, virtual = np.asarray(at.occupied)[:, :n_ao], np.asarray(at.virtual)[:, :n_ao]
        fock = np.asarray(response.held.fock)[:, :n_ao, :n_ao]
        energies = occupied.swapaxes(1, 2) @ fock @ occupied
        hessian, focks = _slopes(result, mole, np.sqrt(n) * occupied)
        hessian += nuclear_hessian(np.asarray(system.core_charges)[: mole.natm], mole.atom_coords())
        overlap = overlap_slopes(mole)[:, None]
        strain = occupied.swapaxes(1, 2) @ overlap @ occupied
        halved = 0.5 * (strain @ energies + energies @ strain)
        multipliers = occupied.swapaxes(1, 2) @ focks - halved
        left = np.zeros((len(strain), len(at.occupied), padded, occupied.shape[2]))
        left[:, :, :n_ao] = -0.5 * n * occupied @ strain
        answers = _strain_response(result.functional, response.system, response.held, at, jnp.asarray(left))
        focks = focks + np.asarray(answers)[:, :, :n_ao]
        right = virtual.swapaxes(1, 2) @ (focks - overlap @ occupied @ energies)
        return cls(n, occupied, virtual, energies, hessian, overlap, strain, focks, multipliers, right)

    def left(self, answers: np.ndarray) -> np.ndarray:
        """A with δD = A C_oᵀ + C_o Aᵀ, orbitals' answer and strain."""
        return self.electrons * (self.virtual @ answers - 0.5 * self.occupied @ self.strain)


def _slopes(result: SCFResult, mole, factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Second derivatives of the energy at fixed D and W, and ∂F C_o at fixed D, (move, spin, ao, occ)."""
    system, functional = result.system, result.functional
    n_ao = mole.nao
    dm = factors @ factors.swapaxes(1, 2)
    scale = np.sqrt(2.0 / len(factors))  # electrons per orbital: A = √n C_o
    hessian = one_electron_hessian(mole, dm.sum(0), energy_weighted(result))
    matrices = core_slopes(mole)
    images = np.zeros((len(matrices), *factors.shape))
    for omega in {0.0, *(omega for omega, _ in functional.exchange)}:
        found, shares = _two_electron(result, mole, omega, dm, factors)
        hessian += found.hessian
        matrices += found.coulomb
        for number, image in enumerate(found.exchange):
            images[:, number % len(factors)] -= shares[number] * image
    images += np.einsum("amn,sno->asmo", matrices, factors, optimize=True)
    padding = ((0, 0), (0, system.n_padded - n_ao), (0, 0))
    padded = jnp.asarray(np.pad(factors, padding))
    moves = np.eye(3 * mole.natm).reshape(-1, mole.natm, 3)
    moves = np.pad(moves, ((0, 0), (0, len(system.coords) - mole.natm), (0, 0)))
    image, force = _xc_slopes(functional, system, padded, jnp.asarray(moves))
    images += np.asarray(image)[:, :, :n_ao]
    hessian += np.asarray(force)[:, : mole.natm].reshape(len(hessian), -1)
    return hessian, images / scale


def _two_electron(result: SCFResult, mole, omega: float, dm, factors) -> tuple[Slopes, list[float]]:
    """Coulomb (at ω = 0) and exchange of one range; exchange terms run over spins, then coefficients."""
    system = result.system
    terms = [c * len(factors) / 2 for w, c in result.functional.exchange if w == omega for _ in factors]
    exchange = [Exchange(factors[k % len(factors)], share) for k, share in enumerate(terms)]
    coulomb = dm.sum(0) if omega == 0 else None
    if system.coulomb == "exact":
        return exact_slopes(mole, omega, coulomb, exchange), terms
    auxiliary, _ = auxiliary_basis(mole, system.aux_basis)
    return fitted_slopes(mole, auxiliary, omega, system.repulsion[omega], coulomb, exchange), terms


@jax.jit
def _xc_slopes(
    functional: Functional,
    system: System,
    factors: Float[Array, "spin ao occ"],
    moves: Float[Array, "move atom 3"],
) -> tuple[Float[Array, "move spin ao occ"], Float[Array, "move atom 3"]]:
    """Derivatives of ∂E_xc/∂D A and ∂E_xc/∂R along every move, at fixed D = A Aᵀ and quadrature points."""
    dm = factors @ jnp.swapaxes(factors, -1, -2)

    def total(dm, coords):
        moved = replace(system, coords=coords)
        return xc_energy(functional, moved, features(moved, dm, read_by(functional)))

    def slopes(coords):
        potential, force = jax.grad(total, argnums=(0, 1))(dm, coords)
        return potential @ factors, force

    return jax.lax.map(lambda move: jax.jvp(slopes, (system.coords,), (move,))[1], moves, batch_size=3)


@jax.jit
def _strain_response(
    functional: Functional, system: System, held: Reference, at: Point, lefts: Float[Array, "move spin ao occ"]
) -> Float[Array, "move spin ao occ"]:
    """δF C_o for the changes A C_oᵀ + C_o Aᵀ of the density."""
    return jax.lax.map(lambda left: fock_response(functional, system, held, left, at.occupied), lefts, batch_size=BLOCK)
