"""Any ASE calculator as a host potential."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from jqc.errors import InputError
from jqc.md.potential import Evaluated
from jqc.typing import Float
from jqc.units import ANGSTROM, ELECTRONVOLT

if TYPE_CHECKING:
    from ase import Atoms

RECORDED = {"dipole": 1 / ANGSTROM}
"""Properties that are recorded where the calculator has them, and what takes them to atomic units."""


@dataclass(frozen=True)
class Calculated:
    """Energy and forces of the calculator of `atoms`, whose elements, charges and boundaries are kept.

    What a calculator remembers of the step before is its own and not in a restart file: a run that goes on may differ
    from one that was never stopped by what its iterations leave.
    """

    atoms: "Atoms"

    def evaluate_on_host(
        self,
        positions: Float[np.ndarray, "atom 3"],
        cell: Float[np.ndarray, "*edges 3"] | None,
        memory: Any,
        recorded: bool,
    ) -> tuple[Evaluated, Any]:
        """In atomic units; nothing to remember."""
        atoms, calculator = self.atoms.copy(), self.atoms.calc
        if calculator is None:
            raise InputError("the atoms have no calculator; set atoms.calc.")
        atoms.calc = calculator
        atoms.set_positions(positions * ANGSTROM)
        if cell is not None:
            atoms.set_cell(cell * ANGSTROM)
            atoms.set_pbc(True)
        energy = jnp.asarray(atoms.get_potential_energy() / ELECTRONVOLT)
        forces = jnp.asarray(atoms.get_forces() * (ANGSTROM / ELECTRONVOLT))
        virial = None
        if cell is not None:
            stress = atoms.get_stress(voigt=False)
            virial = jnp.asarray(-atoms.get_volume() * np.trace(stress) / ELECTRONVOLT)
        found = [name for name in RECORDED if recorded and name in calculator.implemented_properties]
        properties = {name: jnp.asarray(calculator.get_property(name, atoms)) * RECORDED[name] for name in found}
        return Evaluated(energy, forces, virial, properties), None
