"""Minimisers around an SCF: from its state to the Grassmannian and back, and the compiled loop between."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp

from jqc.process import single_threaded_blas
from jqc.programs import compiled
from jqc.scf.canonical import canonical
from jqc.scf.descent import Descent
from jqc.scf.drive import started, watched
from jqc.scf.grassmann import Point
from jqc.scf.occupation import ABSENT, aufbau
from jqc.scf.problem import MINIMISERS, Problem, Solver
from jqc.scf.step import SCFSettings, SCFState, diagonalise, in_orthonormal_basis
from jqc.system import System, keep_orbitals
from jqc.system.keep import kept_shapes
from jqc.timing import stage
from jqc.typing import Array, Int
from jqc.xc.base import Functional


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


def minimised(problem: Problem, how: Solver, state: SCFState, kept: System) -> SCFState:
    """The state after the minimiser that was asked for, or Newton where DIIS has stalled."""
    method, n_occ = how.solver if how.solver in MINIMISERS else "newton", how.columns(problem.system)
    functional, settings, limit = problem.functional, how.settings, how.max_iterations
    at = compiled(_point_of, state, n_occ)(state)
    first = compiled(begin, functional, kept, at, method)
    begun = begin.eval_shape(functional, kept, at, method)
    program = compiled(descend, functional, kept, begun, settings, jnp.asarray(limit), method)
    with stage("scf"), single_threaded_blas():
        found = replace(first(functional, kept, at), iteration=state.iteration)
        run = lambda found, limit: program(functional, kept, found, settings, limit)  # noqa: E731
        return _with_point(state, watched(run, found, limit, how.progress))


def run_start(problem: Problem, how: Solver) -> tuple[SCFState, System]:
    """Orbitals of the guess for a minimiser, and the system with what is kept for its run; see `_filled`."""
    first = started(problem, how, kept_shapes(problem.system, how.budget))[0]
    system = keep_orbitals(problem.system, how.budget)
    with stage("scf"):
        return _filled(system, first(system), natural=not problem.named), system


@partial(jax.jit, static_argnames="natural")
def _filled(system: System, state: SCFState, natural: bool) -> SCFState:
    """The state of a guess with orbitals: natural ones of its density, or those of its Fock matrix from below."""
    fock, dm = in_orthonormal_basis(system, state)
    mo_energy, mo_coeff = diagonalise(-dm if natural else fock, state.orthonormal, state.present)
    spins = mo_energy.shape[0]
    occupations = 2 / spins * aufbau(mo_energy, system.electrons[:spins])
    return replace(state, mo_energy=mo_energy, mo_coeff=mo_coeff, occupations=occupations)


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
