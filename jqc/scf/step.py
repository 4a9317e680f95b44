"""One SCF iteration as an `start`/`advance` pair of pure functions; a driver loops.

The state holds a density, its energy and its Fock matrix ∂E/∂D. An iteration extrapolates the Fock matrix,
diagonalises it in an orthonormal basis, fills the orbitals, and evaluates the new density.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp

from jqc.scf import diis
from jqc.scf.energy import EnergyParts
from jqc.scf.kernel import reference
from jqc.scf.occupation import ABSENT, aufbau, entropy, fermi
from jqc.system import System
from jqc.typing import Array, Bool, Float, Int
from jqc.xc.base import Functional, Ingredients
from jqc.xc.quadrature import Features, no_features

Progress = Callable[[int, float, float, float], None]
"""Called after an iteration with its number, the energy, the energy's change and the residual."""

EMPTY_LIFT = 100.0
"""Hartree that put empty orbitals behind filled ones when both are made canonical."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SCFSettings:
    """Thresholds and aids of the SCF; all energies in hartree.

    Parameters
    ----------
    energy_tolerance, residual_tolerance
        Converged when the energy changes less than the first AND the orbital gradient's norm is below the second.
    level_shift
        Raises the virtual orbitals.
    damping
        Share of the previous density that is kept (0…1).
    temperature
        k_B T of Fermi smearing; None for integer occupations.
    energy_diis_above
        Residual above which augmented energy DIIS takes over, with a smooth change down to a tenth of it.
    diis_slots
        Fock matrices remembered.
    linear_dependence
        Overlap eigenvalues below this are removed; the default is PySCF's.
    """

    energy_tolerance: float = 1e-9
    residual_tolerance: float = 3e-5
    level_shift: float = 0.0
    damping: float = 0.0
    temperature: float | None = None
    energy_diis_above: float = 3.0
    linear_dependence: float = 1e-6
    diis_slots: int = field(default=8, metadata={"static": True})

    def met_by(self, energy_change: Float[Array, ""], residual: Float[Array, ""]) -> Bool[Array, ""]:
        """Whether an iteration that ended so is the last one."""
        return (jnp.abs(energy_change) < self.energy_tolerance) & (residual < self.residual_tolerance)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SCFState:
    """A density in the iteration: its orbitals, energy, Fock matrix, and how far it is from stationary.

    `u` holds the density's features, zero before the first iteration; `best_iteration` is the last one that halved the
    residual, to `best_residual`.
    """

    orthonormal: Float[Array, "ao mo"]
    present: Bool[Array, "mo"]
    effective: Float[Array, "spin mo mo"]
    dm: Float[Array, "spin ao ao"]
    fock: Float[Array, "spin ao ao"]
    u: Features
    mo_coeff: Float[Array, "spin ao mo"]
    mo_energy: Float[Array, "spin mo"]
    occupations: Float[Array, "spin mo"]
    parts: EnergyParts
    smearing: Float[Array, ""]
    energy_change: Float[Array, ""]
    residual: Float[Array, ""]
    iteration: Int[Array, ""]
    best_residual: Float[Array, ""]
    best_iteration: Int[Array, ""]
    converged: Bool[Array, ""]
    history: diis.History

    @property
    def energy(self) -> Float[Array, ""]:
        """Total (free) energy in hartree."""
        return self.parts.total + self.smearing


def orthonormal_basis(overlap: Float[Array, "ao ao"], threshold: float) -> tuple[Array, Array]:
    """Canonical orthonormal orbitals X, XᵀSX = 1, and which of its columns exist.

    Columns of overlap eigenvalues below the threshold are zero: linear dependencies and padding alike.
    """
    values, vectors = jnp.linalg.eigh(overlap)
    present = values > threshold
    return vectors * jnp.where(present, 1 / jnp.sqrt(jnp.where(present, values, 1.0)), 0.0), present


def start(
    functional: Functional,
    system: System,
    dm: Float[Array, "spin ao ao"],
    settings: SCFSettings,
    ingredients: Ingredients,
) -> SCFState:
    """State of a guessed density, before any orbitals are known; `ingredients` are those of the iterations to come."""
    basis, present = orthonormal_basis(system.overlap, settings.linear_dependence)
    held = reference(functional, system, dm)
    zeros = jnp.zeros(dm.shape[:2])
    return SCFState(
        orthonormal=basis,
        present=present,
        effective=jnp.zeros_like(dm),
        dm=dm,
        fock=held.fock,
        u=no_features(system, dm.shape[0], ingredients),
        mo_coeff=jnp.zeros_like(dm),
        mo_energy=zeros,
        occupations=zeros,
        parts=held.parts,
        smearing=jnp.zeros(()),
        energy_change=jnp.asarray(jnp.inf),
        residual=jnp.asarray(jnp.inf),
        iteration=jnp.zeros((), jnp.int32),
        best_residual=jnp.asarray(jnp.inf),
        best_iteration=jnp.zeros((), jnp.int32),
        converged=jnp.asarray(False),
        history=diis.init(settings.diis_slots, dm),
    )


def iterate(functional: Functional, system: System, state: SCFState, settings: SCFSettings, n_occ: int) -> SCFState:
    """One iteration; `n_occ` columns are enough to hold every occupied orbital."""
    effective, history = effective_fock(system, state, settings)
    mo_energy, mo_coeff = diagonalise(effective, state.orthonormal, state.present)
    occupations, smearing = fill(mo_energy, system.electrons, settings.temperature)
    occupied = mo_coeff[:, :, :n_occ] * jnp.sqrt(occupations[:, None, :n_occ])
    dm = occupied @ jnp.swapaxes(occupied, -1, -2)
    held = reference(functional, system, dm, occupied)
    new = replace(
        state,
        effective=effective,
        dm=dm,
        fock=held.fock,
        u=held.u,
        mo_coeff=mo_coeff,
        mo_energy=mo_energy,
        parts=held.parts,
        occupations=occupations,
        smearing=smearing,
        iteration=state.iteration + 1,
        history=history,
    )
    change = new.energy - state.energy
    residual = orbital_gradient(system, new)
    better = residual < 0.5 * state.best_residual
    return replace(
        new,
        energy_change=change,
        residual=residual,
        best_residual=jnp.where(better, residual, state.best_residual),
        best_iteration=jnp.where(better, new.iteration, state.best_iteration),
        converged=settings.met_by(change, residual),
    )


def orbital_gradient(system: System, state: SCFState) -> Float[Array, ""]:
    """Norm of [F, D] in an orthonormal basis, pairs of occupied and virtual orbitals counted once."""
    return jnp.linalg.norm(diis.commutator(*in_orthonormal_basis(system, state))) / jnp.sqrt(2.0)


def in_orthonormal_basis(
    system: System, state: SCFState
) -> tuple[Float[Array, "spin mo mo"], Float[Array, "spin mo mo"]]:
    """XᵀFX and XᵀSDSX."""
    basis = state.orthonormal
    dual = system.overlap @ basis
    return basis.T @ state.fock @ basis, dual.T @ state.dm @ dual


def effective_fock(
    system: System, state: SCFState, settings: SCFSettings
) -> tuple[Float[Array, "spin mo mo"], diis.History]:
    """Fock matrix to diagonalise next: extrapolated, damped, shifted; and the history with the present one.

    A guessed density (iteration 0) need not come from orbitals, so that it does not enter the history.
    """
    fock, dm = in_orthonormal_basis(system, state)
    guessed = state.iteration == 0
    pushed = diis.push(state.history, fock, dm)
    history = jax.tree.map(lambda old, new: jnp.where(guessed, old, new), state.history, pushed)
    limit = settings.energy_diis_above
    weight = jnp.clip((state.residual - 0.1 * limit) / (0.9 * limit), 0.0, 1.0)
    extrapolated = jnp.where(guessed, fock, diis.extrapolate(history, jnp.where(guessed, 0.0, weight)))
    damping = jnp.where(guessed, 0.0, settings.damping)
    virtual = jnp.eye(dm.shape[-1]) - 0.5 * dm.shape[0] * dm
    shift = jnp.where(guessed, 0.0, settings.level_shift) * virtual
    return (1 - damping) * extrapolated + damping * state.effective + shift, history


def diagonalise(
    fock: Float[Array, "spin mo mo"], basis: Float[Array, "ao mo"], present: Bool[Array, "mo"]
) -> tuple[Float[Array, "spin mo"], Float[Array, "spin ao mo"]]:
    """Orbital energies and coefficients; orbitals that do not exist come last."""
    absent = jnp.diag(jnp.where(present, 0.0, ABSENT))
    mo_energy, rotation = jnp.linalg.eigh(fock + absent)
    return mo_energy, basis @ rotation


def fill(
    mo_energy: Float[Array, "spin mo"], electrons: Int[Array, "2"], temperature: Float[Array, ""] | float | None
) -> tuple[Float[Array, "spin mo"], Float[Array, ""]]:
    """Electrons in each orbital (up to 2 restricted, 1 otherwise) and −TS, zero without smearing."""
    spins = mo_energy.shape[0]
    per_orbital = 2 / spins
    if temperature is None:
        return per_orbital * aufbau(mo_energy, electrons[:spins]), jnp.zeros(())
    filling = fermi(mo_energy, electrons[:spins], jnp.asarray(temperature))
    return per_orbital * filling, -temperature * per_orbital * entropy(filling)


def canonical(state: SCFState) -> tuple[Float[Array, "spin mo"], Float[Array, "spin ao mo"]]:
    """Orbitals that diagonalise the Fock matrix among equally occupied ones, filled ones first.

    The density does not change; energies rise within each occupation, which need not be aufbau's.
    """
    transposed = jnp.swapaxes(state.mo_coeff, -1, -2)
    fock = transposed @ state.fock @ state.mo_coeff
    alike = jnp.abs(state.occupations[:, :, None] - state.occupations[:, None, :]) < 1e-12
    lifted = EMPTY_LIFT * (1 - 0.5 * state.dm.shape[0] * state.occupations)
    lifted = jnp.where(state.mo_energy > ABSENT / 2, ABSENT, lifted)
    mo_energy, rotation = jnp.linalg.eigh(jnp.where(alike, fock, 0.0) + jax.vmap(jnp.diag)(lifted))
    return mo_energy - jnp.sort(lifted, axis=-1), state.mo_coeff @ rotation
