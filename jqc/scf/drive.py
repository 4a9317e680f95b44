"""Compiled loops around the steps of DIIS.

A program advances a state until it has converged or reached an iteration number that is an argument, so that the same
program runs to the end in one call, or iteration by iteration for a caller who watches. Programs are compiled before
orbitals are evaluated: the compiler's memory is free again before they take theirs, which decides the peak.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jqc.process import single_threaded_blas
from jqc.programs import compiled
from jqc.scf.problem import Problem, Solver
from jqc.scf.step import Progress, SCFSettings, SCFState, iterate, start
from jqc.system import System, keep_orbitals
from jqc.system.keep import kept_shapes
from jqc.timing import stage
from jqc.typing import Array, Bool, Int
from jqc.xc.base import Functional
from jqc.xc.quadrature import read_by

begin_diis = jax.jit(start, static_argnames="ingredients")


@partial(jax.jit, static_argnames="n_occ", donate_argnames="state")
def advance(
    functional: Functional,
    system: System,
    state: SCFState,
    settings: SCFSettings,
    patience: Int[Array, ""],
    limit: Int[Array, ""],
    n_occ: int,
) -> SCFState:
    """DIIS until converged, stalled for `patience` iterations, or at `limit` iterations in all."""
    step = lambda state: iterate(functional, system, state, settings, n_occ)  # noqa: E731
    return jax.lax.while_loop(lambda state: going(state, patience, limit), step, state)


def going(state: SCFState, patience: Int[Array, ""] | int, limit: Int[Array, ""] | int) -> Bool[Array, ""]:
    """Whether DIIS goes on."""
    stalled = state.iteration - state.best_iteration >= patience
    return ~state.converged & ~stalled & (state.iteration < limit) & jnp.isfinite(state.energy)


def run_diis(problem: Problem, how: Solver) -> tuple[SCFState, System]:
    """Iterate from a guessed density; also hands back the system with what is kept for its run, within a budget."""
    shapes = kept_shapes(problem.system, how.budget)
    first, begun = started(problem, how, shapes)
    run = iterations(problem, how, shapes, begun)
    system = keep_orbitals(problem.system, how.budget)
    return run(system, first(system)), system


def started(problem: Problem, how: Solver, shapes: System) -> tuple[Callable[[System], SCFState], SCFState]:
    """What makes the state of the guess, for a system of such shapes, and the shapes of that state."""
    starter, dm, settings, ingredients = problem.starter, problem.dm, how.settings, read_by(problem.functional)
    program = compiled(begin_diis, starter, shapes, dm, settings, ingredients)

    def first(system: System) -> SCFState:
        with stage("scf"), single_threaded_blas():
            return program(starter, system, dm, settings)

    return first, begin_diis.eval_shape(starter, shapes, dm, settings, ingredients)


def iterations(problem: Problem, how: Solver, shapes: System, begun: SCFState) -> Callable[..., SCFState]:
    """Iterations of a system and a state of such shapes, `run(system, state, settings)`; see `advance`."""
    patience, most = jnp.asarray(how.patience), jnp.asarray(how.max_iterations)
    settings = how.settings
    program = compiled(
        advance, problem.functional, shapes, begun, settings, patience, most, how.columns(problem.system)
    )

    def run(system: System, state: SCFState, settings: SCFSettings = settings) -> SCFState:
        on = lambda state, limit: program(problem.functional, system, state, settings, patience, limit)  # noqa: E731
        with stage("scf"), single_threaded_blas():
            return watched(on, state, how.max_iterations, how.progress)

    return run


def watched(run, state, limit: int, progress: Progress | None):
    """All iterations at once, or one by one with a word after each."""
    if progress is None:
        return jax.block_until_ready(run(state, jnp.asarray(limit)))
    for iteration in range(int(state.iteration) + 1, limit + 1):
        state = run(state, jnp.asarray(iteration))
        if int(state.iteration) < iteration:
            break
        progress(iteration, float(state.energy), float(state.energy_change), float(state.residual))
        if bool(state.converged) or not np.isfinite(float(state.energy)):
            break
    return state
