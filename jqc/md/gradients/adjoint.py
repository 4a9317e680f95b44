"""Gradients by running the dynamics backwards: memory does not grow with the number of steps.

NVE and Nosé–Hoover steps with −Δt undo those with Δt. So states need not be kept: each is found again from the next one
on the way back, where the derivatives λ of the average by the state are carried along,

    λ_{n−1} = (∂s_n/∂s_{n−1})ᵀ λ_n + ∂O/∂s_{n−1},     dO/dθ = Σ_n (∂s_n/∂θ)ᵀ λ_n

(Wang, Axelrod & Gómez-Bombarelli, arXiv:2003.00868). Rounding errors grow on the way back as a trajectory's changes do.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from jqc.errors import InputError
from jqc.md.ensembles import NVE, NoseHoover
from jqc.md.ensembles.base import Ensemble
from jqc.md.gradients.real import real_leaves, with_real
from jqc.md.gradients.sampling import Sampling
from jqc.md.potential import Potential
from jqc.md.segment import checked, relisted
from jqc.md.state import State
from jqc.md.step import step
from jqc.typing import Array

Whole = tuple[Potential, Ensemble, State]
"""All that a trajectory depends on."""


@dataclass(frozen=True)
class Adjoint:
    """Backpropagation along the reversed trajectory; for NVE and Nosé–Hoover."""

    def mean(self, potential: Potential, ensemble: Ensemble, state: State, sampling: Sampling) -> tuple[State, Any]:
        """The last state and the mean of what is observed.

        Raises:
            InputError: an ensemble that cannot be run backwards.
        """
        if not isinstance(ensemble, NVE | NoseHoover):
            raise InputError(
                f"{type(ensemble).__name__} cannot be run backwards; choose NVE, NoseHoover or another way."
            )
        whole = (potential, ensemble, state)
        reals, rest, sums = _sums(real_leaves(whole), whole, sampling)
        return with_real(rest, reals), sampling.mean(sums)


def _sums_of(reals: list[Array], whole: Whole, sampling: Sampling) -> tuple[list[Array], State, Any]:
    """The last state's real leaves, all of it, and what is observed summed over frames.

    Derivatives are by `reals`, which are put in place of those of the `whole`.
    """
    potential, ensemble, state = with_real(whole, reals)
    frame = lambda _, sums: sampling.further(potential, ensemble, sums)  # noqa: E731
    last, sums = jax.lax.fori_loop(0, sampling.frames, frame, sampling.first(state))
    return real_leaves(last), last, sums


def _forward(reals: list[Array], whole: Whole, sampling: Sampling):
    found = _sums_of(reals, whole, sampling)
    potential, ensemble, _ = with_real(whole, reals)
    return found, (potential, ensemble, found[1], sampling)


def _backward(kept: tuple[Potential, Ensemble, State, Sampling], slopes):
    potential, ensemble, last, sampling = kept
    by_last, _, by_sums = slopes
    fixed, dt = real_leaves((potential, ensemble)), sampling.dt

    def one_step(_, carry):
        state, by_fixed, by_state = carry
        before = replace(step(potential, ensemble, state, -dt, relist=False), step=state.step - 1)

        def onwards(fixed, moving):
            moved, ruled = with_real((potential, ensemble), fixed)
            return real_leaves(step(moved, ruled, with_real(before, moving), dt, relist=False))

        _, pull = jax.vjp(onwards, fixed, real_leaves(before))
        more, by_state = pull(by_state)
        return before, _added(by_fixed, more), by_state

    def frame(_, carry):
        state, by_fixed, by_state = carry
        seen = lambda moving: sampling.observe(with_real(state, moving))  # noqa: E731
        (more,) = jax.vjp(seen, real_leaves(state))[1](by_sums)
        start = relisted(state), by_fixed, _added(by_state, more)
        state, by_fixed, by_state = jax.lax.fori_loop(0, sampling.stride, one_step, start)
        return checked(state), by_fixed, by_state

    start = last, [jnp.zeros_like(each) for each in fixed], by_last
    _, by_fixed, by_state = jax.lax.fori_loop(0, sampling.frames, frame, start)
    return [*by_fixed, *by_state], None, None


def _added(one: list[Array], other: list[Array]) -> list[Array]:
    return [a + b for a, b in zip(one, other, strict=True)]


_rule = jax.custom_vjp(_sums_of)
_rule.defvjp(_forward, _backward)

_sums: Callable[..., tuple[list[Array], State, Any]] = _rule
"""`_sums_of` with derivatives by the reversed trajectory."""
