"""`scf`: from a system and a functional to a converged density."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from jqc.errors import InputError, MoleculeError
from jqc.process import make_room_for_programs
from jqc.scf.drive import MINIMISERS, Progress, run_diis, run_minimiser, run_start
from jqc.scf.energy import parts_and_features
from jqc.scf.guess import initial_dm
from jqc.scf.repulsion import check_exchange
from jqc.scf.result import SCFResult
from jqc.scf.step import SCFSettings, SCFState
from jqc.system import System, with_range
from jqc.system.padding import size_class
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
    functional = as_functional(functional)
    if max_iterations < 1:
        raise InputError(f"max_iterations is {max_iterations}; it must be at least 1.")
    _check_solver(solver, settings)
    check_exchange(functional, system.exchange)
    n_spins = _spin_axis(system, restricted)
    dm = jnp.asarray(initial_dm(system, guess, n_spins))
    system = with_range(system, tuple(omega for omega, _ in functional.exchange))
    make_room_for_programs()  # here, where every loop over molecules comes by
    # Superposed atoms are too rough for more than a local potential, which is cheap to compile and to evaluate; a
    # density handed over may be nearly converged and meets its own functional.
    named = isinstance(guess, str)
    starter = named_functional(STARTER) if named else functional
    rough = any(group.precision == "single" for group in system.groups)
    if rough:
        settings = replace(settings, energy_tolerance=jnp.maximum(settings.energy_tolerance, _noise(system)))
    state = _solve(functional, starter, system, dm, settings, solver, max_iterations, progress, named)
    if rough:
        state = in_double_precision(functional, system, state)
    return SCFResult.from_state(functional, system, state)


def _noise(system: System) -> float:
    """What single precision leaves of the energy from one iteration to the next, in hartree."""
    return NOISE * int(system.electrons.sum())


@jax.jit
def in_double_precision(functional: Functional, system: System, state: SCFState) -> SCFState:
    """The energy and the features of a state's density from a quadrature in double precision."""
    groups = tuple(replace(group, precision="double", orbitals=None) for group in system.groups)
    parts, u = parts_and_features(functional, replace(system, groups=groups), state.dm)
    return replace(state, parts=parts, u=u)


def _check_solver(solver: str, settings: SCFSettings) -> None:
    if solver not in SOLVERS:
        raise InputError(f"unknown solver {solver!r}; choose {', '.join(SOLVERS)}.")
    if solver in MINIMISERS and settings.temperature is not None:
        raise InputError(f"solver {solver!r} needs whole occupations; leave out temperature or use 'diis'.")


def _spin_axis(system: System, restricted: bool | None) -> int:
    alpha, beta = (int(n) for n in system.electrons)
    if restricted and alpha != beta:
        raise MoleculeError(
            f"a restricted calculation needs paired electrons, but {alpha - beta} are unpaired; leave out "
            "restricted=True."
        )
    paired = alpha == beta if restricted is None else restricted
    return 1 if paired else 2


def _solve(functional, starter, system, dm, settings, solver, max_iterations, progress, named) -> SCFState:
    """DIIS, or orbitals of the guess, and a minimiser after it where one is asked for or needed."""
    smeared = settings.temperature is not None
    n_occ = system.n_padded if smeared else min(system.n_padded, size_class(max(1, int(system.electrons[0]))))
    if solver in MINIMISERS:
        state, kept = run_start(functional, starter, system, dm, settings, natural=not named)
        return run_minimiser(functional, kept, state, settings, solver, max_iterations, n_occ, progress)
    patience = PATIENCE if solver == "auto" and not smeared else max_iterations
    state, kept = run_diis(functional, starter, system, dm, settings, patience, max_iterations, n_occ, progress)
    if solver == "diis" or smeared or bool(state.converged) or int(state.iteration) >= max_iterations:
        return state
    return run_minimiser(functional, kept, state, settings, "newton", max_iterations, n_occ, progress)
