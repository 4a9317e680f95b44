"""`scf`: from a system and a functional to a converged density."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from jqc.errors import InputError, MoleculeError
from jqc.process import make_room_for_programs
from jqc.scf.coarse import run_on_two
from jqc.scf.drive import MINIMISERS, Progress, run_diis, run_minimiser, run_start
from jqc.scf.energy import parts_and_features
from jqc.scf.guess import initial_dm
from jqc.scf.repulsion import check_exchange
from jqc.scf.result import SCFResult
from jqc.scf.step import SCFSettings, SCFState
from jqc.system import System, with_range
from jqc.typing import Array, Float
from jqc.xc import functional as named_functional
from jqc.xc.base import Functional
from jqc.xc.registry import as_functional

STARTER = "slater"
"""Functional whose potential a named guess meets first."""

SOLVERS = ("auto", "diis", *MINIMISERS)
"""`auto` is DIIS, and Newton where that stalls."""

NOISE = 5e-8
"""Changes of the energy in hartree for each electron that a quadrature in single precision does not resolve."""

PATIENCE = 15
"""Iterations without halving the residual after which DIIS counts as stalled."""


def scf(
    system: System,
    functional: str | Functional = "pbe",
    guess: str | np.ndarray | SCFResult = "minao",
    *,
    solver: str = "auto",
    restricted: bool | None = None,
    max_iterations: int = 100,
    settings: SCFSettings = SCFSettings(),  # noqa: B008 - frozen
    progress: Progress | None = None,
) -> SCFResult:
    """Solve the Kohn–Sham equations; the Fock matrix is the derivative of `energy`.

    Parameters
    ----------
    system
        From `build_system`.
    functional
        A name such as "pbe", "b3lyp", "0.5*hf + 0.5*slater, lyp", or any `Functional`.
    guess
        "minao", "atom", "core", a density matrix, or the result of another geometry.
    solver
        "auto", "diis", "newton" (trust-region Newton), or "direct" (minimisation with L-BFGS); see `SOLVERS`.
    restricted
        One set of orbitals for both spins; by default where no electron is unpaired.
    max_iterations
        Iterations of all solvers together.
    settings
        Thresholds and convergence aids.
    progress
        Called after every iteration, see `Progress`.

    Raises
    ------
    InputError
        An unknown functional, guess or solver, a restricted calculation of unpaired electrons, or smearing with a
        solver that needs whole occupations.

    >>> import jax; jax.config.update("jax_enable_x64", True)
    >>> import jqc
    >>> helium = jqc.Molecule.from_arrays(["He"], [[0.0, 0.0, 0.0]])
    >>> result = jqc.scf(jqc.build_system(helium, "def2-svp"), "pbe").check()
    >>> print(f"{result.energy:.4f}")
    -2.8845
    """
    how = Solver(settings, solver, max_iterations, progress)
    return solved(posed(system, as_functional(functional), guess, restricted), how)


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


def solved(problem: Problem, how: Solver) -> SCFResult:
    """DIIS, or orbitals of the guess, and a minimiser after it where one is asked for or needed."""
    make_room_for_programs()  # here, where every loop over molecules comes by
    functional, starter, system, dm = problem.functional, problem.starter, problem.system, problem.dm
    how = how.over(system)
    if how.solver in MINIMISERS:
        state, kept = run_start(functional, starter, system, dm, how.settings, natural=not problem.named)
        return result_of(problem, minimised(problem, how, state, kept))
    n_occ, limit = how.columns(system), how.max_iterations
    run = run_on_two if system.coarse and problem.named else run_diis
    state, kept = run(
        functional, starter, system, dm, how.settings, how.patience, limit, n_occ, how.progress, how.budget
    )
    if not how.ends_with(state):
        state = minimised(problem, how, state, kept)
    return result_of(problem, state)


def result_of(problem: Problem, state: SCFState) -> SCFResult:
    """The result of a final state, its energy from a quadrature in double precision."""
    if is_rough(problem.system):
        state = _in_double_precision(problem.functional, problem.system, state)
    return SCFResult.from_state(problem.functional, problem.system, state)


def is_rough(system: System) -> bool:
    """Whether a system's quadrature is in single precision."""
    return any(group.precision == "single" for group in system.groups)


@jax.jit
def _in_double_precision(functional: Functional, system: System, state: SCFState) -> SCFState:
    """The energy and the features of a state's density from a quadrature in double precision."""
    groups = tuple(replace(group, precision="double", orbitals=None) for group in system.groups)
    parts, u = parts_and_features(functional, replace(system, groups=groups), state.dm)
    return replace(state, parts=parts, u=u)


def minimised(problem: Problem, how: Solver, state: SCFState, kept: System) -> SCFState:
    """The state after the minimiser that was asked for, or Newton where DIIS has stalled."""
    method, n_occ = how.solver if how.solver in MINIMISERS else "newton", how.columns(problem.system)
    return run_minimiser(problem.functional, kept, state, how.settings, method, how.max_iterations, n_occ, how.progress)
