"""What an SCF hands back: a density with its energy, orbitals and simple properties, and whether to trust it."""

from dataclasses import dataclass

import jax
import numpy as np

from jqc.errors import ConvergenceError
from jqc.programs import compiled
from jqc.scf.energy import EnergyParts
from jqc.scf.step import SCFState, canonical
from jqc.system import System
from jqc.typing import Array, Float
from jqc.xc.base import Functional
from jqc.xc.quadrature import Features

_canonical = jax.jit(canonical)


@dataclass(frozen=True)
class SCFResult:
    """A solved (or not, see `status`) Kohn–Sham problem in atomic units, without padding.

    Restricted arrays have no spin axis: `dm` (ao, ao), `mo_coeff` (ao, mo), `mo_energy` and `occupations` (mo);
    unrestricted ones lead with a spin axis of two. `features` is the density on the grid (padded,
    see `jqc.xc.quadrature`).
    """

    functional: Functional
    system: System
    energy: float
    parts: EnergyParts
    smearing: float
    dm: Float[Array, "*spin ao ao"]
    mo_coeff: Float[Array, "*spin ao mo"]
    mo_energy: Float[Array, "*spin mo"]
    occupations: Float[Array, "*spin mo"]
    features: Features
    iterations: int
    residual: float
    energy_change: float
    converged: bool
    removed_orbitals: int

    @classmethod
    def from_state(cls, functional: Functional, system: System, state: SCFState) -> "SCFResult":
        """Strip the padding of a final state."""
        mo_energy, mo_coeff = compiled(_canonical, state)(state)
        n_ao, n_mo = int(system.n_ao), int(np.asarray(state.present).sum())
        restricted = state.dm.shape[0] == 1

        def cut(array, *lengths):
            # On the host: a slice on the device, or jnp.asarray, is a program of its own for every number of orbitals.
            inside = np.asarray(array)[:, *map(slice, lengths)]
            return jax.device_put(inside[0] if restricted else inside)

        return cls(
            functional=functional,
            system=system,
            energy=float(state.energy),
            parts=jax.tree.map(float, state.parts),
            smearing=float(state.smearing),
            dm=cut(state.dm, n_ao, n_ao),
            mo_coeff=cut(mo_coeff, n_ao, n_mo),
            mo_energy=cut(mo_energy, n_mo),
            occupations=cut(state.occupations, n_mo),
            features=state.u,
            iterations=int(state.iteration),
            residual=float(state.residual),
            energy_change=float(state.energy_change),
            converged=bool(state.converged),
            removed_orbitals=n_ao - n_mo,
        )

    @property
    def by_spin(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`mo_coeff`, `mo_energy` and `occupations` with a spin axis, of length one if restricted."""
        with_axis = lambda array, rank: np.asarray(array).reshape(-1, *array.shape[-rank:])  # noqa: E731
        return with_axis(self.mo_coeff, 2), with_axis(self.mo_energy, 1), with_axis(self.occupations, 1)

    @property
    def status(self) -> str:
        """One sentence on how the iteration ended."""
        if self.converged:
            return f"converged in {self.iterations} iterations, residual {self.residual:.1e}"
        if not np.isfinite(self.energy):
            return f"failed: the energy is not a number after {self.iterations} iterations"
        return (
            f"not converged after {self.iterations} iterations: energy change {self.energy_change:.1e}, "
            f"residual {self.residual:.1e} hartree"
        )

    def check(self) -> "SCFResult":
        """Hand back the result if it converged.

        Raises:
            ConvergenceError: it did not; the message holds the last energy change and residual.
        """
        if not self.converged:
            raise ConvergenceError(
                f"SCF {self.status}; raise max_iterations, start from another guess, or use a level shift or smearing."
            )
        return self

    @property
    def aux_basis(self) -> str:
        """The fitting set in use."""
        return self.system.aux_basis

    @property
    def n_electrons_quadrature(self) -> float:
        """Electrons that the quadrature counts."""
        return float(self.parts.n_electrons_quadrature)

    @property
    def _total_dm(self) -> np.ndarray:
        dm = np.asarray(self.dm)
        return dm if dm.ndim == 2 else dm.sum(0)

    @property
    def dipole(self) -> np.ndarray:
        """Dipole moment Σ_A Z_A R_A − tr(D r) in e·bohr, (3,); about the origin."""
        n = self.dm.shape[-1]
        nuclear = np.asarray(self.system.core_charges) @ np.asarray(self.system.coords)
        return nuclear - np.einsum("xmn,mn->x", np.asarray(self.system.dipole)[:, :n, :n], self._total_dm)

    @property
    def charges(self) -> np.ndarray:
        """Mulliken charges q_A = Z_A − Σ_{μ∈A} (DS)_μμ (doi:10.1063/1.1740588), (atom,)."""
        n = self.dm.shape[-1]
        populations = np.sum(self._total_dm * np.asarray(self.system.overlap)[:n, :n], axis=1)
        atoms = np.asarray(self.system.ao_atom)[:n]
        n_atoms = int((np.asarray(self.system.numbers) > 0).sum())
        return np.asarray(self.system.core_charges)[:n_atoms] - np.bincount(atoms, populations, n_atoms)

    @property
    def gap(self) -> float:
        """Lowest empty minus highest filled orbital energy over both spins, hartree; infinite if none is empty."""
        energies, filled = np.ravel(self.mo_energy), np.ravel(self.occupations) > self._half
        return float(np.min(energies[~filled], initial=np.inf) - np.max(energies[filled], initial=-np.inf))

    @property
    def _half(self) -> float:
        return 1.0 if self.dm.ndim == 2 else 0.5

    @property
    def spin_square(self) -> float:
        """⟨S²⟩ of the Kohn–Sham determinant: S_z(S_z + 1) + N_β − Σ_ij |⟨i_α|j_β⟩|²."""
        if self.dm.ndim == 2:
            return 0.0
        n = self.dm.shape[-1]
        overlap = np.asarray(self.system.overlap)[:n, :n]
        alpha, beta = (int(n) for n in self.system.electrons)
        shared = np.sum((np.asarray(self.dm[0]) @ overlap) * (np.asarray(self.dm[1]) @ overlap).T)
        spin = 0.5 * (alpha - beta)
        return float(spin * (spin + 1) + beta - shared)
