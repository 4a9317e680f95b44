"""Integrals over primitive Gaussians that are differentiable to every order, in centres and exponents.

A Cartesian primitive is g = x^i y^j z^k exp(−a r²), r from its centre A, without normalisation. Its derivatives are
primitives again,

    ∂g/∂A_x = 2a g_(i+1) − i g_(i−1),     ∂g/∂a = −(g_(i+2) + g_(j+2) + g_(k+2))

(Helgaker, Jørgensen, Olsen, *Molecular Electronic-Structure Theory* (2000), section 9.1), so that the derivative of an
integral is a linear combination of the same integral over shells of other angular momenta. Libcint computes all of
them on the host; the rule below calls itself, and what it applies to a tangent is linear. The last function of an
integral moves as the others move the other way.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.custom_derivatives import SymbolicZero

from jqc.typing import Array, Float

S_NORM, P_NORM = 0.282094791773878143, 0.488602511902919921
"""What libcint multiplies Cartesian s and p functions by; it leaves the others alone."""

KINDS = {
    "overlap": "int1e_ovlp_cart",
    "kinetic": "int1e_kin_cart",
    "potential": "int1e_rinv_cart",
    "metric": "int2c2e_cart",
    "fitting": "int3c2e_cart",
}
"""⟨f|g⟩, ½⟨∇f|∇g⟩, ⟨f|1/|r − C||g⟩, (f|g) and (fg|h); C are the centres of the last argument, its exponents unused."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Primitives:
    """Shells of one primitive each; momenta below zero stand for no function at all."""

    centers: Float[Array, "shell 3"]
    exponents: Float[Array, "shell"]
    momenta: tuple[int, ...] = field(metadata={"static": True})

    def shifted(self, step: int) -> "Primitives":
        """The same shells with angular momenta changed."""
        return replace(self, momenta=tuple(l + step for l in self.momenta))


@dataclass(frozen=True)
class Operator:
    """One of `KINDS`; ω > 0 puts erf(ωr)/r and ω < 0 erfc(|ω|r)/r in place of 1/r."""

    kind: str
    omega: float = 0.0


def powers(l: int) -> np.ndarray:
    """Exponents (i, j, k) of x, y, z in libcint's order, (function, 3).

    >>> powers(1).tolist()
    [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    """
    listed = [(i, j, l - i - j) for i in range(l, -1, -1) for j in range(l - i, -1, -1)]
    return np.array(listed, dtype=int).reshape(-1, 3)


@cache
def function_powers(momenta: tuple[int, ...]) -> np.ndarray:
    """Exponents of x, y, z of every function, (function, 3)."""
    return np.concatenate([powers(l) for l in momenta] or [powers(-1)])


@cache
def shell_of(momenta: tuple[int, ...]) -> np.ndarray:
    """The shell that each function belongs to."""
    return np.repeat(np.arange(len(momenta)), [len(powers(l)) for l in momenta])


@cache
def neighbours(momenta: tuple[int, ...], axis: int, step: int) -> np.ndarray:
    """Where each function with its power of one coordinate changed is found among the shells changed alike.

    What does not exist (a power below zero) points at the first function.
    """
    shells = shell_of(momenta)
    changed = function_powers(momenta).copy()
    changed[:, axis] += step
    counts = [len(powers(l + step)) for l in momenta]
    starts = np.concatenate([[0], np.cumsum(counts)])[shells]
    below = changed[:, 1] + changed[:, 2]
    return np.where(changed[:, axis] < 0, 0, starts + below * (below + 1) // 2 + changed[:, 2])


def _compute(operator: Operator, momenta, *arrays) -> np.ndarray:
    """Libcint's integrals; `arrays` are centres and exponents of each argument in turn."""
    from pyscf.gto.mole import PTR_RANGE_OMEGA, PTR_RINV_ORIG
    from pyscf.gto.moleintor import getints

    arrays = [np.asarray(array) for array in arrays]
    n_slots = len(momenta) - (operator.kind == "potential")
    atm, bas, env, ends = [], [], [np.zeros(20)], [0]
    size = 20
    for slot in range(n_slots):
        for center, exponent, l in zip(arrays[2 * slot], arrays[2 * slot + 1], momenta[slot], strict=True):
            if l < 0:
                continue
            norm = {0: S_NORM, 1: P_NORM}.get(l, 1.0)
            atm.append([0, size, 1, 0, 0, 0])
            bas.append([len(atm) - 1, l, 1, 1, 0, size + 3, size + 4, 0])
            env.append(np.array([*center, exponent, 1 / norm]))
            size += 5
        ends.append(len(bas))
    env = np.concatenate(env)
    env[PTR_RANGE_OMEGA] = operator.omega
    atm, bas = np.array(atm, dtype=np.int32), np.array(bas, dtype=np.int32)
    slices = tuple(end for slot in range(n_slots) for end in (ends[slot], ends[slot + 1]))
    if operator.kind != "potential":
        return np.ascontiguousarray(getints(KINDS[operator.kind], atm, bas, env, slices))
    found = []
    for origin in arrays[-2]:
        env[PTR_RINV_ORIG : PTR_RINV_ORIG + 3] = origin
        found.append(getints(KINDS[operator.kind], atm, bas, env, slices))
    return np.stack(found, axis=-1)


@cache
def _host(operator: Operator, momenta: tuple[tuple[int, ...], ...]) -> Callable[..., np.ndarray]:
    """One function for equal arguments, so that the callback is compiled once."""
    return partial(_compute, operator, momenta)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def integrals(operator: Operator, *arguments: Primitives) -> Float[Array, "*function"]:
    """Integrals of an operator over primitive Gaussians, one axis of Cartesian functions for each argument.

    Works eagerly and under `jit`, `vmap`, `jvp`, `grad` and any nesting of the last two.
    """
    shape = tuple(len(shell_of(argument.momenta)) for argument in arguments)
    if 0 in shape:
        return jnp.zeros(shape)
    compute = _host(operator, tuple(argument.momenta for argument in arguments))
    arrays = [array for argument in arguments for array in (argument.centers, argument.exponents)]
    if not any(isinstance(array, Tracer) for array in arrays):
        return jnp.asarray(compute(*arrays))
    return jax.pure_callback(compute, jax.ShapeDtypeStruct(shape, jnp.float64), *arrays, vmap_method="sequential")


@partial(integrals.defjvp, symbolic_zeros=True)
def _integrals_jvp(operator, primals, tangents):
    value = integrals(operator, *primals)
    slope = jnp.zeros_like(value)
    last = len(primals) - 1
    theirs = _moving(tangents[last].centers)
    for place, (argument, tangent) in enumerate(zip(primals, tangents, strict=True)):
        own, widths = _moving(tangent.centers), _moving(tangent.exponents)
        if place < last and (own is not None or theirs is not None):
            up, down = (_shifted(operator, primals, place, step) for step in (1, -1))
            slope += _center_slope(argument, primals[last], up, down, own, theirs, place)
        if widths is not None and not (operator.kind == "potential" and place == last):
            slope += _exponent_slope(argument, _shifted(operator, primals, place, 2), widths, place)
    return value, slope


def _moving(tangent):
    return None if isinstance(tangent, SymbolicZero) else tangent


def _shifted(operator: Operator, arguments: tuple[Primitives, ...], place: int, step: int) -> Array:
    """Integrals with the angular momenta of one argument changed."""
    return integrals(operator, *(a.shifted(step) if p == place else a for p, a in enumerate(arguments)))


def _spread(by_shell, momenta: tuple[int, ...], place: int, n_axes: int) -> Array:
    """A number for each shell of one argument, spread over its functions and to be multiplied with integrals."""
    return by_shell[shell_of(momenta)].reshape([-1 if p == place else 1 for p in range(n_axes)])


@partial(jax.jit, static_argnames="place")
def _center_slope(
    argument: Primitives, last: Primitives, up: Array, down: Array, own: Array | None, theirs: Array | None, place: int
) -> Array:
    """Change of integrals when the centres of one argument move by `own` and those of the last one by `theirs`."""
    momenta, n_axes = argument.momenta, up.ndim
    widths = 2 * _spread(argument.exponents, momenta, place, n_axes)
    total = jnp.zeros(())
    for axis in range(3):
        slope = widths * jnp.take(up, neighbours(momenta, axis, 1), axis=place)
        if down.shape[place] > 0:
            count = function_powers(momenta)[:, axis].reshape([-1 if p == place else 1 for p in range(n_axes)])
            slope = slope - count * jnp.take(down, neighbours(momenta, axis, -1), axis=place)
        if own is not None:
            total += _spread(own[:, axis], momenta, place, n_axes) * slope
        if theirs is not None:
            total -= _spread(theirs[:, axis], last.momenta, n_axes - 1, n_axes) * slope
    return total


@partial(jax.jit, static_argnames="place")
def _exponent_slope(argument: Primitives, up: Array, widths: Array, place: int) -> Array:
    """Change of integrals with the exponents of one argument."""
    changed = sum(jnp.take(up, neighbours(argument.momenta, axis, 2), axis=place) for axis in range(3))
    return -_spread(widths, argument.momenta, place, up.ndim) * changed


@jax.jit
def _position_table(ket: Primitives, overlap: Array, up: Array) -> Array:
    found = [
        jnp.take(up, neighbours(ket.momenta, axis, 1), axis=1)
        + _spread(ket.centers[:, axis], ket.momenta, 1, 2) * overlap
        for axis in range(3)
    ]
    return jnp.stack(found)


def position_integrals(bra: Primitives, ket: Primitives) -> Float[Array, "3 function function"]:
    """⟨f|r|g⟩ from the origin: x g = g_(i+1) + A_x g."""
    overlap = Operator("overlap")
    return _position_table(ket, integrals(overlap, bra, ket), _shifted(overlap, (bra, ket), 1, 1))
