"""Compiled loops around the solvers' steps, and the hand-over of a state from one solver to another.

A program advances a state until it has converged or reached an iteration number that is an argument, so that the same
program runs to the end in one call, or iteration by iteration for a caller who watches.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np

from jqc.process import single_threaded_blas
from jqc.programs import compiled
from jqc.scf import direct, newton
from jqc.scf.canonical import canonical
from jqc.scf.descent import Descent
from jqc.scf.grassmann import Point
from jqc.scf.occupation import ABSENT, aufbau
from jqc.scf.step import SCFSettings, SCFState, diagonalise, in_orthonormal_basis, iterate, start
from jqc.system import System, keep_orbitals
from jqc.system.keep import kept_shapes
from jqc.timing import stage
from jqc.typing import Array, Bool, Float, Int
from jqc.xc.base import Functional
from jqc.xc.quadrature import read_by

Progress = Callable[[int, float, float, float], None]
"""Called after an iteration with its number, the energy, the energy's change and the residual."""

MINIMISERS: dict[str, ModuleType] = {"newton": newton, "direct": direct}
"""Solvers that go downhill on the Grassmannian; each a module with `start` and `step`."""

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


def going(state: SCFState, patience: Int[Array, ""], limit: Int[Array, ""]) -> Bool[Array, ""]:
    """Whether DIIS goes on."""
    stalled = state.iteration - state.best_iteration >= patience
    return ~state.converged & ~stalled & (state.iteration < limit) & jnp.isfinite(state.energy)


@partial(jax.jit, static_argnames="method")
def begin(functional: Functional, system: System, at: Point, method: str) -> Descent:
    """A minimiser's first state."""
    return MINIMISERS[method].start(functional, system, at)


@partial(jax.jit, static_argnames="method", donate_argnames="state")
def descend(
    functional: Functional, system: System, state: Descent, settings: SCFSettings, limit: Int[Array, ""], method: str
) -> Descent:
    """Minimise until converged or at `limit` iterations in all."""

    def going(state):
        return ~state.converged & (state.iteration < limit) & jnp.isfinite(state.energy)

    step = MINIMISERS[method].step
    return jax.lax.while_loop(going, lambda state: step(functional, system, state, settings), state)


def run_diis(
    functional: Functional,
    starter: Functional,
    system: System,
    dm: Float[Array, "spin ao ao"],
    settings: SCFSettings,
    patience: int,
    limit: int,
    n_occ: int,
    progress: Progress | None,
    budget: int | None = None,
) -> tuple[SCFState, System]:
    """Iterate from a guessed density; also hands back the system with what is kept for its run, within a budget.

    Programs are compiled before orbitals are evaluated: the compiler's memory is free again before they take theirs,
    which decides the peak.
    """
    shapes = kept_shapes(system, budget)
    ingredients = read_by(functional)
    first = compiled(begin_diis, starter, shapes, dm, settings, ingredients)
    begun = begin_diis.eval_shape(starter, shapes, dm, settings, ingredients)
    program = compiled(advance, functional, shapes, begun, settings, jnp.asarray(patience), jnp.asarray(limit), n_occ)
    system = keep_orbitals(system, budget)
    with stage("scf"), single_threaded_blas():
        state = first(starter, system, dm, settings)
        run = lambda state, limit: program(functional, system, state, settings, jnp.asarray(patience), limit)  # noqa: E731
        return watched(run, state, limit, progress), system


@partial(jax.jit, static_argnames="natural")
def _filled(system: System, state: SCFState, natural: bool) -> SCFState:
    """The state of a guess with orbitals: natural ones of its density, or those of its Fock matrix from below."""
    fock, dm = in_orthonormal_basis(system, state)
    mo_energy, mo_coeff = diagonalise(-dm if natural else fock, state.orthonormal, state.present)
    spins = mo_energy.shape[0]
    occupations = 2 / spins * aufbau(mo_energy, system.electrons[:spins])
    return replace(state, mo_energy=mo_energy, mo_coeff=mo_coeff, occupations=occupations)


def run_start(
    functional: Functional,
    starter: Functional,
    system: System,
    dm: Float[Array, "spin ao ao"],
    settings: SCFSettings,
    natural: bool,
) -> tuple[SCFState, System]:
    """Orbitals of a guessed density, and the system with what is kept for its run; see `_filled`."""
    first = compiled(begin_diis, starter, kept_shapes(system), dm, settings, read_by(functional))
    system = keep_orbitals(system)
    with stage("scf"), single_threaded_blas():
        return _filled(system, first(starter, system, dm, settings), natural), system


def run_minimiser(
    functional: Functional,
    system: System,
    state: SCFState,
    settings: SCFSettings,
    method: str,
    limit: int,
    n_occ: int,
    progress: Progress | None,
) -> SCFState:
    """Minimise from the orbitals of an SCF state."""
    at = compiled(_point_of, state, n_occ)(state)
    first = compiled(begin, functional, system, at, method)
    begun = jax.eval_shape(partial(begin, method=method), functional, system, at)
    program = compiled(descend, functional, system, begun, settings, jnp.asarray(limit), method)
    with stage("scf"), single_threaded_blas():
        found = replace(first(functional, system, at), iteration=state.iteration)
        run = lambda found, limit: program(functional, system, found, settings, limit)  # noqa: E731
        return _with_point(state, watched(run, found, limit, progress))


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


@partial(jax.jit, static_argnames="n_occ")
def _point_of(state: SCFState, n_occ: int) -> Point:
    """Frames of a state; orbitals of the other kind are zero columns."""
    full = (state.occupations > 0)[:, None, :]
    present = (state.mo_energy < ABSENT / 2)[:, None, :]
    occupied = jnp.where(full, state.mo_coeff, 0.0)[:, :, :n_occ]
    return Point(occupied, jnp.where(present & ~full, state.mo_coeff, 0.0))


@jax.jit
def _with_point(state: SCFState, found: Descent) -> SCFState:
    """The SCF state of a minimiser's point: occupied orbitals first, then the others, both canonical."""
    at, occ_energy, virt_energy = canonical(found.at, found.held.fock)
    n_mo = at.virtual.shape[-1]
    exists = jnp.concatenate([occ_energy, virt_energy], axis=-1) < ABSENT / 2
    order = jnp.argsort(~exists, axis=-1, stable=True)[:, :n_mo]
    arranged = lambda array: jnp.take_along_axis(array, order, axis=-1)  # noqa: E731
    both = jnp.concatenate([at.occupied, at.virtual], axis=-1)
    per_orbital = at.electrons_per_orbital * jnp.concatenate(
        [jnp.ones_like(occ_energy), jnp.zeros_like(virt_energy)], axis=-1
    )
    return replace(
        state,
        dm=at.dm,
        fock=found.held.fock,
        u=found.held.u,
        mo_coeff=jnp.take_along_axis(both, order[:, None, :], axis=-1),
        mo_energy=arranged(jnp.concatenate([occ_energy, virt_energy], axis=-1)),
        occupations=jnp.where(arranged(exists), arranged(per_orbital), 0.0),
        parts=found.held.parts,
        smearing=jnp.zeros(()),
        energy_change=found.energy_change,
        residual=found.residual,
        iteration=found.iteration,
        converged=found.converged,
    )
