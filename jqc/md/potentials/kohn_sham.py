"""The Kohn–Sham energy as a host potential: an SCF in every step, from the orbitals of the step before.

Forces are those of a quadrature that moves with the atoms: with points that stand still, energy is not conserved.
"""

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np

from jqc.errors import InputError
from jqc.md.potential import Evaluated
from jqc.response.forces import forces
from jqc.response.polarizability import polarizability
from jqc.scf.guess import carried_over
from jqc.scf.repulsion import check_exchange
from jqc.scf.solve import scf
from jqc.scf.step import SCFSettings
from jqc.system import Molecule, build_system
from jqc.system.lengths import Lengths, lengths_of
from jqc.typing import Float
from jqc.xc.base import Functional

TIGHT = SCFSettings(energy_tolerance=1e-10, residual_tolerance=1e-7)
"""Forces are wrong in first order of the residual, and their errors add up along a trajectory."""


@dataclass(frozen=True)
class KohnSham:
    """Energy, forces, dipole, and polarizability where asked for, of a molecule that moves.

    Array lengths are those of the molecule that it is made with, so that a trajectory compiles once. What it remembers
    are occupied orbitals: a run that goes on from a restart file equals one that was never stopped.
    """

    molecule: Molecule
    functional: Functional
    lengths: Lengths
    system_options: dict[str, Any] = field(default_factory=dict)
    settings: SCFSettings = TIGHT
    polarizable: bool = False

    @classmethod
    def of(
        cls,
        molecule: Molecule,
        functional: Functional,
        settings: SCFSettings = TIGHT,
        polarizable: bool = False,
        **system_options: Any,
    ) -> "KohnSham":
        """The potential of a molecule; `system_options` as of `build_system`.

        Raises:
            InputError: what cannot be built, or has no forces.
        """
        check_exchange(functional, system_options.get("exchange", "df"), moving=True)
        lengths = lengths_of(build_system(molecule, **system_options))
        return cls(molecule, functional, lengths, system_options, settings, polarizable)

    def evaluate_on_host(
        self,
        positions: Float[np.ndarray, "atom 3"],
        cell: Float[np.ndarray, "*edges 3"] | None,
        memory: Any,
        recorded: bool,
    ) -> tuple[Evaluated, Any]:
        """An SCF and its forces; occupied orbitals to remember."""
        if cell is not None:
            raise InputError("the Kohn–Sham energy is that of a molecule in free space; leave out the cell.")
        molecule = Molecule(self.molecule.numbers, positions, self.molecule.charge, self.molecule.spin)
        system = build_system(molecule, like=self.lengths, **self.system_options)
        guess = "minao" if memory is None else carried_over(system, *memory)
        result = scf(system, self.functional, guess, settings=self.settings).check()
        properties = {"dipole": jnp.asarray(result.dipole)} if recorded else {}
        if recorded and self.polarizable:
            properties["polarizability"] = jnp.asarray(polarizability(result))
        return Evaluated(
            jnp.asarray(result.energy), jnp.asarray(forces(result, moving_grid=True)), None, properties
        ), result.by_spin[::2]
