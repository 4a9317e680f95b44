"""What a functional makes of one labelled molecule, against the teacher's solution that the label holds.

    E_ρ = E_ref[P_θ] − E_ref[P*],     E_{h+J}[P] = tr hP + ½ (P|P),     ‖Δρ‖ = √∫(ρ_θ − ρ*)² dr

P_θ is the functional's own self-consistent density, P* the teacher's. E_ρ is zero or above, for P* is the minimum, and
of second order in the density's error (arXiv 2606.04279). Both are solved with the labels' quadrature; the energies
E_θ[P_θ] and E_ref[P*] that are compared are those of a fine one (`jqc.distill.fine`).
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jqc.data.record import Plain
from jqc.distill.fine import fine_quadrature, refinement
from jqc.distill.labels import Arrays, LabelSettings
from jqc.errors import ConvergenceError, InstabilityError
from jqc.response.tddft import excitations
from jqc.scf import SCFResult, scf
from jqc.scf.energy import EnergyParts, energy_parts
from jqc.system import Molecule, System, with_range
from jqc.system.lengths import Lengths
from jqc.system.padding import pad_axis
from jqc.system.sampled import Sampled
from jqc.typing import Array, Float
from jqc.units import DEBYE, ELECTRONVOLT
from jqc.xc.base import Functional
from jqc.xc.quadrature import features, quadrature

CONVERGED, UNSTABLE, UNCONVERGED, ABSENT = "converged", "unstable", "unconverged", "absent"
"""What became of a calculation; triplets of an unrestricted density are absent, and any state of a full basis."""

AMPLITUDES = 1e-3
"""Residual of excited states; their energies are right to its square, some 1e-5 eV, for half the products."""


def measure(
    functional: Functional,
    teacher: Functional,
    label: Mapping[str, np.ndarray],
    molecule: Molecule,
    settings: LabelSettings,
    states: int = 5,
    room: Lengths | None = None,
) -> tuple[Arrays, dict[str, Plain]]:
    """Arrays with their units, and what became of every calculation.

    The functional is solved from superposed atoms with the solver's defaults on the label's basis, fitting set and
    grid. `fock_builds` counts the iterations of the teacher's SCF, with the default thresholds, that starts from the
    functional's density: one Fock matrix of the teacher each, without the one of the density handed over.
    `iterations` counts those of the functional's own SCF in the same way, without the one of the superposed atoms.
    Without a converged density nothing else is measured.

    Raises
    ------
    InputError
        The molecule cannot be computed as the settings ask.
    """
    system = with_range(settings.system(molecule, room), tuple(omega for omega, _ in teacher.exchange))
    result = scf(system, functional)
    arrays: Arrays = {"iterations": (np.asarray(result.iterations), "1")}
    if not result.converged:
        return arrays, {"scf": UNCONVERGED}
    fine = fine_quadrature(molecule, settings.basis, settings.grid_level, room)
    arrays |= _solution(result, teacher, label, fine)
    again = scf(system, teacher, np.asarray(result.dm))
    if again.converged:
        arrays["fock_builds"] = np.asarray(again.iterations), "1"
    statuses: dict[str, Plain] = {"scf": CONVERGED, "teacher": CONVERGED if again.converged else UNCONVERGED}
    for name, triplet in (("singlets", False), ("triplets", True)):
        statuses[name], energies = _excited(result, states, triplet)
        if energies is not None:
            arrays[name] = energies * ELECTRONVOLT, "eV"
    return arrays, statuses


def _solution(result: SCFResult, teacher: Functional, label: Mapping[str, np.ndarray], fine: Sampled) -> Arrays:
    """Energies, density and dipole against the label's."""
    n_ao = result.dm.shape[-1]
    dm = np.asarray(result.dm).reshape(-1, n_ao, n_ao)
    own, labelled_dm, change = _padded(result.system, dm, label["dm"], dm.sum(0) - label["dm"].sum(0))
    there, distance = _of_teacher(teacher, result.system, own, change)
    energy = float(result.energy + refinement(result.functional, result.system, fine, own))
    reference = float(label["energy"] + refinement(teacher, result.system, fine, labelled_dm))
    classical = float(there.kinetic + there.nuclear_attraction + there.coulomb)
    labelled = sum(float(label[f"energy_{part}"]) for part in ("kinetic", "nuclear_attraction", "coulomb"))
    dipole_error = np.linalg.norm(result.dipole - label["dipole"]) * DEBYE
    return {
        "dm": (dm, "1"),
        "dipole": (np.asarray(result.dipole), "e bohr"),
        "energy": (np.asarray(energy), "hartree"),
        "reference_energy": (np.asarray(reference), "hartree"),
        "energy_error": (np.asarray(energy - reference), "hartree"),
        "density_energy_error": (np.asarray(float(there.total) - label["energy"]), "hartree"),
        "classical_energy_error": (np.asarray(abs(classical - labelled)), "hartree"),
        "density_distance": (np.asarray(float(distance)), "bohr^-3/2"),
        "dipole_error": (np.asarray(dipole_error), "debye"),
    }


def _padded(system: System, *matrices: np.ndarray) -> list[Float[Array, "*spin ao ao"]]:
    n = system.n_padded
    return [jnp.asarray(pad_axis(pad_axis(matrix, n, -1), n, -2)) for matrix in matrices]


@jax.jit
def _of_teacher(
    teacher: Functional, system: System, dm: Float[Array, "spin ao ao"], change: Float[Array, "ao ao"]
) -> tuple[EnergyParts, Float[Array, ""]]:
    """The teacher's energy of a density, and √∫(Δρ)² of a change of it."""
    rho = features(system, change[None], "rho")[0, 0]
    return energy_parts(teacher, system, dm), jnp.sqrt(jnp.sum(rho**2 * quadrature(system).weights))


def _excited(result: SCFResult, states: int, triplet: bool) -> tuple[str, np.ndarray | None]:
    """Status, and the lowest excitation energies in hartree; fewer where the basis has fewer."""
    restricted = result.mo_coeff.ndim == 2
    filled = (result.by_spin[2] > 0).sum(axis=1)
    available = int((filled * (result.mo_coeff.shape[-1] - filled)).sum())
    if not available or (triplet and not restricted):
        return ABSENT, None
    try:
        return CONVERGED, excitations(result, min(states, available), triplet=triplet, tolerance=AMPLITUDES).energies
    except InstabilityError:
        return UNSTABLE, None
    except ConvergenceError:
        return UNCONVERGED, None
