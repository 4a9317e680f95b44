"""`scf`: from a system and a functional to a converged density."""

from dataclasses import replace

import jax
import numpy as np

from jqc.process import make_room_for_programs
from jqc.scf.coarse import run_on_two
from jqc.scf.drive import run_diis
from jqc.scf.energy import parts_and_features
from jqc.scf.minimise import minimised, run_start
from jqc.scf.problem import MINIMISERS, Problem, Solver, is_rough, posed
from jqc.scf.result import SCFResult
from jqc.scf.step import Progress, SCFSettings, SCFState
from jqc.system import System
from jqc.xc.base import Functional
from jqc.xc.registry import as_functional


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


def solved(problem: Problem, how: Solver) -> SCFResult:
    """DIIS, or orbitals of the guess, and a minimiser after it where one is asked for or needed."""
    make_room_for_programs()  # here, where every loop over molecules comes by
    how = how.over(problem.system)
    run = run_start if how.solver in MINIMISERS else run_on_two if problem.on_two else run_diis
    state, kept = run(problem, how)
    if not how.ends_with(state):
        state = minimised(problem, how, state, kept)
    return result_of(problem, state)


def result_of(problem: Problem, state: SCFState) -> SCFResult:
    """The result of a final state, its energy from a quadrature in double precision."""
    if is_rough(problem.system):
        state = _in_double_precision(problem.functional, problem.system, state)
    return SCFResult.from_state(problem.functional, problem.system, state)


@jax.jit
def _in_double_precision(functional: Functional, system: System, state: SCFState) -> SCFState:
    """The energy and the features of a state's density from a quadrature in double precision."""
    groups = tuple(replace(group, precision="double", orbitals=None) for group in system.groups)
    parts, u = parts_and_features(functional, replace(system, groups=groups), state.dm)
    return replace(state, parts=parts, u=u)
