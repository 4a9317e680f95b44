"""Derivatives of integrals over primitives: every kind, first and second order, in centres and exponents."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jqc.system.primitives import KINDS, Operator, Primitives, integrals

MOMENTA = {
    "overlap": ((0, 2), (1, 0)),
    "kinetic": ((0, 2), (1, 0)),
    "potential": ((0, 1), (1,), (0, 0)),
    "metric": ((0, 2), (1,)),
    "fitting": ((0, 1), (1,), (0, 2)),
}


def arguments_of(kind: str) -> tuple[Primitives, ...]:
    rng = np.random.default_rng(0)
    return tuple(
        Primitives(jnp.asarray(rng.normal(size=(len(m), 3))), jnp.asarray(rng.uniform(0.5, 1.5, len(m))), m)
        for m in MOMENTA[kind]
    )


@pytest.mark.parametrize(("kind", "omega"), [*((kind, 0.0) for kind in KINDS), ("fitting", 0.4), ("fitting", -0.4)])
def test_first_and_second_derivatives(kind, omega):
    """Along a random direction in all centres and exponents, against central differences."""
    start, rebuild = ravel_pytree(arguments_of(kind))

    def function(x):
        return jnp.sum(jnp.sin(0.1 * integrals(Operator(kind, omega), *rebuild(x))))

    direction = jnp.asarray(np.random.default_rng(1).normal(size=start.shape))
    step = 1e-4 * direction
    slope = jax.grad(function)
    first = (function(start + step) - function(start - step)) / 2e-4
    assert float(slope(start) @ direction) == pytest.approx(float(first), rel=1e-5, abs=1e-7)
    second = (slope(start + step) - slope(start - step)) / 2e-4
    found = jax.jvp(slope, (start,), (direction,))[1]
    np.testing.assert_allclose(found, second, rtol=1e-4, atol=1e-6 * float(jnp.abs(second).max()))


def test_compiled_and_batched_equal_eager():
    arguments = arguments_of("potential")
    operator = Operator("potential")
    eager = integrals(operator, *arguments)
    np.testing.assert_allclose(jax.jit(lambda a: integrals(operator, *a))(arguments), eager, rtol=0, atol=1e-14)
    batch = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), arguments)
    batched = jax.vmap(lambda a: integrals(operator, *a))(batch)
    np.testing.assert_allclose(batched[1], eager, rtol=0, atol=1e-14)
