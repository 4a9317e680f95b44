"""Most iterations on a rougher quadrature, corrected so that they lead to the density of the finer one.

    E′[D] = E_rough[D] + E[D₀] − E_rough[D₀] + Σ_μν (F[D₀] − F_rough[D₀])_μν (D − D₀)_μν

has the energy and the slope of the finer quadrature at D₀, and its curvature up to an error of the rougher one. The
minimum D₁ is nearer to the finer one's by that error, and is D₀ of the next cycle, until the finer quadrature finds D₁
stationary and its energy as foretold: Brandt's full approximation scheme with two grids (Math. Comput. 31, 333 (1977),
doi:10.1090/S0025-5718-1977-0431719-X).
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp

from jqc.process import single_threaded_blas
from jqc.programs import compiled
from jqc.scf import diis
from jqc.scf.drive import going, iterations, started
from jqc.scf.kernel import reference
from jqc.scf.problem import Problem, Solver
from jqc.scf.step import SCFSettings, SCFState, orbital_gradient
from jqc.system import System, keep_orbitals
from jqc.system.keep import granted, kept_bytes, kept_shapes, orbital_bytes
from jqc.timing import stage
from jqc.typing import Array, Float
from jqc.xc.base import Functional
from jqc.xc.one_pass import in_one_pass

ROUGH = 1e-3
"""Residual, and change of the energy, to which the rougher quadrature is solved before it is corrected."""

TIGHT = 0.3
"""Share of the residual asked for to which it is solved then."""

FEW = 1 << 28
"""Bytes of orbitals of the finer quadrature that are kept for its passes (ethanol); of more (aspirin), evaluating them
anew in each of the two passes is as fast, and takes no memory."""

CYCLES = 8
"""Corrections after which the finer quadrature goes on alone."""


def run_on_two(problem: Problem, how: Solver) -> tuple[SCFState, System]:
    """What `run_diis` does, for a system with a rougher quadrature; where corrections fail, it goes on without."""
    functional, system, n_occ = problem.functional, problem.system, how.columns(problem.system)
    rough = rougher(system, problem.dm, how.budget)
    left = granted(system, how.budget) - rough.orbital_bytes
    many = sum(map(orbital_bytes, system.groups)) > FEW
    kept = 0 if many and in_one_pass(functional, system) else left
    first, begun = started(problem, how, kept_shapes(rough))
    run = iterations(problem, how, kept_shapes(rough), begun)
    refine = compiled(refined, functional, kept_shapes(system, kept), begun, n_occ)
    rough, system = keep_orbitals(rough), keep_orbitals(system, kept)
    with stage("scf"), single_threaded_blas():
        fine = _cycles(rough, first(rough), how.settings, run, partial(refine, functional, system))
    goes_on = bool(going(fine, how.patience, how.max_iterations))
    if not goes_on and how.ends_with(fine):
        return fine, system
    system = keep_orbitals(system, left)
    return iterations(problem, how, system, fine)(system, fine) if goes_on else fine, system


def _cycles(
    rough: System,
    state: SCFState,
    settings: SCFSettings,
    run: Callable[[System, SCFState, SCFSettings], SCFState],
    refine: Callable[[SCFState], SCFState],
) -> SCFState:
    """The finer quadrature's state after corrections, until it has converged or they have failed."""
    state = run(rough, state, _thresholds(settings, ROUGH))
    fine = refine(state)
    for _ in range(CYCLES):
        if not bool(state.converged):
            break
        rough, state = corrected(rough, state, fine)
        state = run(rough, state, _thresholds(settings, 0.0))
        fine = judged(settings, fine, state)
        if bool(fine.converged):
            break
        fine = refine(state)
    return fine


def rougher(system: System, dm: Float[Array, "spin ao ao"], budget: int | None = None) -> System:
    """The system with the rougher quadrature in place of its own, and with room for corrections of either spin.

    As many of its orbitals are kept as the budget has room for: most iterations are with them.
    """
    rough = replace(system, groups=system.coarse, coarse=(), kinetic=jnp.broadcast_to(system.kinetic, dm.shape))
    return replace(rough, orbital_bytes=kept_bytes(rough, budget))


def _thresholds(settings: SCFSettings, least: float) -> SCFSettings:
    """Thresholds of the iterations: somewhat tighter than asked for, but not below `least`."""
    energy, residual = settings.energy_tolerance, TIGHT * settings.residual_tolerance
    return replace(
        settings, energy_tolerance=jnp.maximum(energy, least), residual_tolerance=jnp.maximum(residual, least)
    )


@partial(jax.jit, static_argnames="n_occ")
def refined(functional: Functional, system: System, state: SCFState, n_occ: int) -> SCFState:
    """A state's density on the finer quadrature; the energy's change is from what the rougher one foretold.

    The difference of the Fock matrices is added to all that DIIS remembers.
    """
    occupied = state.mo_coeff[:, :, :n_occ] * jnp.sqrt(state.occupations[:, None, :n_occ])
    held = reference(functional, system, state.dm, occupied)
    focks = state.history.focks + state.orthonormal.T @ (held.fock - state.fock) @ state.orthonormal
    history = replace(state.history, focks=focks, errors=diis.commutator(focks, state.history.dms))
    new = replace(state, fock=held.fock, u=held.u, parts=held.parts, history=history)
    residual = orbital_gradient(system, new)
    return replace(
        new,
        energy_change=new.energy - state.energy,
        residual=residual,
        best_residual=jnp.where(state.converged, residual, state.best_residual),
        best_iteration=jnp.where(state.converged, state.iteration, state.best_iteration),
        converged=jnp.zeros_like(state.converged),
    )


@jax.jit
def judged(settings: SCFSettings, fine: SCFState, ahead: SCFState) -> SCFState:
    """Whether the finer quadrature's state is converged; its energy's change is that of corrected iterations on it."""
    change = ahead.energy - fine.energy
    converged = ahead.converged & settings.met_by(change, fine.residual)
    return replace(fine, energy_change=change, iteration=ahead.iteration, converged=converged)


def corrected(rough: System, state: SCFState, fine: SCFState) -> tuple[System, SCFState]:
    """The system of E′ around a state's density, and the state there."""
    system = tilted(rough, state.dm, fine.energy - state.energy, fine.fock - state.fock)
    there = replace(fine, u=jnp.zeros_like(state.u), converged=jnp.zeros_like(state.converged))
    return system, jax.tree.map(jnp.copy, there)  # iterations take the arrays that they are given


def tilted(
    system: System, dm: Float[Array, "spin ao ao"], offset: Float[Array, ""], slope: Float[Array, "spin ao ao"]
) -> System:
    """A system whose energy has a straight line added: the offset at a density, and its slope."""
    constant = system.nuclear_repulsion + offset - jnp.sum(slope * dm)
    return replace(system, kinetic=system.kinetic + slope, nuclear_repulsion=constant)
