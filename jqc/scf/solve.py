"""`scf`: from a system and a functional to a converged density.

One compiled program advances the state until it has converged or reached an iteration number that is an argument,
so that the same program runs to the end in one call, or iteration by iteration for a caller who watches.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jqc.errors import FunctionalError, InputError, MoleculeError
from jqc.process import single_threaded_blas
from jqc.scf.guess import initial_dm
from jqc.scf.result import SCFResult
from jqc.scf.step import SCFSettings, SCFState, iterate, start
from jqc.system import System, keep_orbitals, with_range
from jqc.system.keep import kept_shapes
from jqc.system.padding import size_class
from jqc.timing import stage
from jqc.typing import Array, Int
from jqc.xc import functional as named_functional
from jqc.xc.base import Functional

Progress = Callable[[int, float, float, float], None]
"""Called after an iteration with its number, the energy, the energy's change and the residual."""

STARTER = "slater"
"""Functional whose potential a named guess meets first."""

_start = jax.jit(start)


@partial(jax.jit, static_argnames="n_occ", donate_argnames="state")
def advance(
    functional: Functional, system: System, state: SCFState, settings: SCFSettings, limit: Int[Array, ""], n_occ: int
) -> SCFState:
    """Iterate until converged or until `limit` iterations in all."""

    def going(state):
        return ~state.converged & (state.iteration < limit) & jnp.isfinite(state.energy)

    return jax.lax.while_loop(going, lambda state: iterate(functional, system, state, settings, n_occ), state)


def scf(
    system: System,
    functional: str | Functional = "pbe",
    guess: str | np.ndarray = "minao",
    *,
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
        "minao", "atom", "core", or a density matrix.
    restricted
        One set of orbitals for both spins; by default where no electron is unpaired.
    max_iterations
        Fock builds after the first.
    settings
        Thresholds and convergence aids.
    progress
        Called after every iteration, see `Progress`.

    Raises
    ------
    InputError
        An unknown functional or guess, or a restricted calculation of unpaired electrons.

    >>> import jax; jax.config.update("jax_enable_x64", True)
    >>> import jqc
    >>> helium = jqc.Molecule.from_arrays(["He"], [[0.0, 0.0, 0.0]])
    >>> result = jqc.scf(jqc.build_system(helium, "def2-svp"), "pbe").check()
    >>> print(f"{result.energy:.4f}")
    -2.8845
    """
    if isinstance(functional, str):
        functional = named_functional(functional)
    if not isinstance(functional, Functional):
        raise FunctionalError(f"received {functional!r} as a functional; pass a name or a jqc.xc.Functional.")
    if max_iterations < 1:
        raise InputError(f"max_iterations is {max_iterations}; it must be at least 1.")
    n_spins = _spin_axis(system, restricted)
    dm = jnp.asarray(initial_dm(system, guess, n_spins))
    system = with_range(system, tuple(omega for omega, _ in functional.exchange))
    # Superposed atoms are too rough for more than a local potential, which is cheap to compile and to evaluate; a
    # density handed over may be nearly converged and meets its own functional.
    starter = named_functional(STARTER) if isinstance(guess, str) else functional
    state = _run(functional, starter, system, dm, settings, max_iterations, progress)
    return SCFResult.from_state(functional, system, state)


def _spin_axis(system: System, restricted: bool | None) -> int:
    alpha, beta = (int(n) for n in system.electrons)
    if restricted and alpha != beta:
        raise MoleculeError(
            f"a restricted calculation needs paired electrons, but {alpha - beta} are unpaired; leave out "
            "restricted=True."
        )
    paired = alpha == beta if restricted is None else restricted
    return 1 if paired else 2


def _run(functional, starter, system, dm, settings, max_iterations, progress) -> SCFState:
    """Compile the two programs, then evaluate orbitals, then run; with a watcher, an iteration at a time.

    The compiler's memory is free again before the orbitals take theirs, which decides the peak.
    """
    smeared = settings.temperature is not None
    n_occ = system.n_padded if smeared else min(system.n_padded, size_class(max(1, int(system.electrons[0]))))
    limit = jnp.asarray(max_iterations)
    with stage("compile"):
        shapes = kept_shapes(system)
        first = _start.lower(starter, shapes, dm, settings).compile()
        begun = jax.eval_shape(_start, starter, shapes, dm, settings)
        program = advance.lower(functional, shapes, begun, settings, limit, n_occ).compile()
    system = keep_orbitals(system)
    with stage("scf"), single_threaded_blas():
        state = first(starter, system, dm, settings)
        if progress is None:
            return jax.block_until_ready(program(functional, system, state, settings, limit))
        for iteration in range(1, max_iterations + 1):
            state = program(functional, system, state, settings, jnp.asarray(iteration))
            progress(iteration, float(state.energy), float(state.energy_change), float(state.residual))
            if bool(state.converged) or not np.isfinite(float(state.energy)):
                break
        return state
