"""What an SCF solves, and how: a system and a functional with a density to start from, a solver and its thresholds."""

from dataclasses import dataclass, replace
from types import ModuleType

import jax.numpy as jnp
import numpy as np

from jqc.errors import InputError, MoleculeError
from jqc.scf import direct, newton
from jqc.scf.guess import initial_dm
from jqc.scf.repulsion import check_exchange
from jqc.scf.result import SCFResult
from jqc.scf.step import Progress, SCFSettings, SCFState
from jqc.system import System, with_range
from jqc.typing import Array, Float
from jqc.xc import functional as named_functional
from jqc.xc.base import Functional

STARTER = "slater"
"""Functional whose potential a named guess meets first."""

MINIMISERS: dict[str, ModuleType] = {"newton": newton, "direct": direct}
"""Solvers that go downhill on the Grassmannian; each a module with `start` and `step`."""

SOLVERS = ("auto", "diis", *MINIMISERS)
"""`auto` is DIIS, and Newton where that stalls."""

NOISE = 5e-8
"""Changes of the energy in hartree for each electron that a quadrature in single precision does not resolve."""

PATIENCE = 15
"""Iterations without halving the residual after which DIIS counts as stalled."""


@dataclass(frozen=True)
class Solver:
    """How to iterate; orbitals are kept within the system's budget of bytes, or within a smaller one."""

    settings: SCFSettings = SCFSettings()  # noqa: RUF009 - frozen
    solver: str = "auto"
    max_iterations: int = 100
    progress: Progress | None = None
    budget: int | None = None

    def __post_init__(self):
        if self.max_iterations < 1:
            raise InputError(f"max_iterations is {self.max_iterations}; it must be at least 1.")
        if self.solver not in SOLVERS:
            raise InputError(f"unknown solver {self.solver!r}; choose {', '.join(SOLVERS)}.")
        if self.solver in MINIMISERS and self.smeared:
            raise InputError(f"solver {self.solver!r} needs whole occupations; leave out temperature or use 'diis'.")

    @property
    def smeared(self) -> bool:
        """Whether occupations are fractional."""
        return self.settings.temperature is not None

    @property
    def patience(self) -> int:
        """Iterations of DIIS without halving the residual after which Newton takes over."""
        return PATIENCE if self.solver == "auto" and not self.smeared else self.max_iterations

    def columns(self, system: System) -> int:
        """Orbitals that may hold electrons."""
        return system.n_padded if self.smeared else system.occupied

    def over(self, system: System) -> "Solver":
        """The same, with an energy threshold that the precision of a system's quadrature can resolve."""
        if not is_rough(system):
            return self
        resolved = jnp.maximum(self.settings.energy_tolerance, 2 * NOISE * system.occupied)
        return replace(self, settings=replace(self.settings, energy_tolerance=resolved))

    def ends_with(self, state: SCFState) -> bool:
        """Whether a state that DIIS left is the last one."""
        spent = int(state.iteration) >= self.max_iterations
        return self.solver == "diis" or self.smeared or bool(state.converged) or spent


@dataclass(frozen=True)
class Problem:
    """A system and a functional with the density to start from, padded, which meets the functional `starter` first."""

    functional: Functional
    starter: Functional
    system: System
    dm: Float[Array, "spin ao ao"]
    named: bool

    @property
    def on_two(self) -> bool:
        """Whether there is a rougher quadrature for most iterations; a density at hand may need few."""
        return bool(self.system.coarse) and self.named


def posed(
    system: System, functional: Functional, guess: str | np.ndarray | SCFResult, restricted: bool | None
) -> Problem:
    """Everything that a solution starts from, with the integrals that the functional asks for.

    Superposed atoms are too rough for more than a local potential, which is cheap to compile and to evaluate; a density
    handed over may be nearly converged and meets its own functional.

    Raises:
        InputError: an unknown guess, a restricted calculation of unpaired electrons, or a functional whose exact
            exchange the system has not.
    """
    check_exchange(functional, system.exchange)
    dm = jnp.asarray(initial_dm(system, guess, _spin_axis(system, restricted)))
    system = with_range(system, tuple(omega for omega, _ in functional.exchange))
    named = isinstance(guess, str)
    return Problem(functional, named_functional(STARTER) if named else functional, system, dm, named)


def _spin_axis(system: System, restricted: bool | None) -> int:
    alpha, beta = (int(n) for n in system.electrons)
    if restricted and alpha != beta:
        raise MoleculeError(
            f"a restricted calculation needs paired electrons, but {alpha - beta} are unpaired; leave out "
            "restricted=True."
        )
    paired = alpha == beta if restricted is None else restricted
    return 1 if paired else 2


def is_rough(system: System) -> bool:
    """Whether a system's quadrature is in single precision."""
    return any(group.precision == "single" for group in system.groups)
