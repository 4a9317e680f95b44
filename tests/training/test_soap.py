"""SOAP against its definition in NumPy, and where it is worth having: a badly conditioned loss."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jqc.training import TrainingSettings, soap
from jqc.training.optimizer import optimizer
from jqc.training.soap import scale_by_soap

SHAPES = {"matrix": (4, 3), "vector": (5,), "number": (), "tensor": (2, 3, 2)}


def by_hand(gradients: list[np.ndarray]) -> np.ndarray:
    """The last step: every axis's products, their followed bases, and Adam between."""
    shape = gradients[0].shape
    products = [np.zeros((n, n)) for n in shape]
    bases = [np.eye(n) for n in shape]
    mean, square = np.zeros(shape), np.zeros(shape)

    def turned(array, bases):
        for axis, basis in enumerate(bases):
            array = np.moveaxis(np.tensordot(basis.T, array, axes=(1, axis)), 0, axis)
        return array

    for g in gradients:
        mean = soap.FIRST * mean + (1 - soap.FIRST) * g
        for axis in range(g.ndim):
            rows = np.moveaxis(g, axis, 0).reshape(shape[axis], -1)
            products[axis] = soap.SECOND * products[axis] + (1 - soap.SECOND) * rows @ rows.T
            bases[axis] = np.linalg.qr(products[axis] @ bases[axis])[0]
        square = soap.SECOND * square + (1 - soap.SECOND) * turned(g, bases) ** 2
    n = len(gradients)
    size = np.sqrt(square / (1 - soap.SECOND**n))
    step = turned(mean / (1 - soap.FIRST**n), bases) / (size + soap.EPSILON * size.max())
    return turned(step, [basis.T for basis in bases])


@pytest.mark.parametrize("name", SHAPES)
def test_steps_are_those_by_hand(name):
    """Until the bases rest: every one of the first steps has new ones."""
    random = np.random.default_rng(0)
    gradients = [random.normal(size=SHAPES[name]) for _ in range(soap.EVERY)]
    transform = scale_by_soap()
    state, update = transform.init({name: jnp.zeros(SHAPES[name])}), jax.jit(transform.update)
    for gradient in gradients:
        step, state = update({name: jnp.asarray(gradient)}, state)
    np.testing.assert_allclose(step[name], by_hand(gradients), rtol=1e-8)


def test_bases_become_eigenvectors_and_then_rest():
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    random, transform = np.random.default_rng(2), scale_by_soap()
    state, update = transform.init(jnp.zeros(3)), jax.jit(transform.update)
    bases = []
    for _ in range(30 * soap.EVERY):
        _, state = update(jnp.asarray(turn @ (random.normal(size=3) * [3.0, 1.0, 0.1])), state)
        bases.append(np.asarray(state.bases[0][0]))
    _, vectors = np.linalg.eigh(state.products[0][0])
    overlap = np.abs(vectors[:, ::-1].T @ bases[-1])
    np.testing.assert_allclose(overlap, np.eye(3), atol=0.1)
    assert (bases[-1] == bases[1 - soap.EVERY]).all()
    assert (bases[-1] != bases[-1 - soap.EVERY]).any()


def test_long_axes_keep_their_basis(monkeypatch):
    monkeypatch.setattr(soap, "LONGEST", 4)
    state = scale_by_soap().init(jnp.zeros((5, 3)))
    assert state.bases[0][0] is None
    assert state.bases[0][1].shape == (3, 3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept_and_nothing_breaks_at_zero(dtype):
    transform = scale_by_soap()
    state = transform.init(jnp.zeros((3, 2), dtype))
    step, state = transform.update(jnp.zeros((3, 2), dtype), state)
    assert step.dtype == state.mean.dtype == state.square.dtype == state.bases[0][0].dtype == dtype
    assert not np.any(step)


def test_a_badly_conditioned_loss():
    """Squares with curvatures from 1 to 10⁶ along hidden directions, where Adam's own axes do not help."""
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(12, 12)))[0]
    curvature = jnp.asarray(turn @ np.diag(np.logspace(0, 6, 12)) @ turn.T)

    def left(name: str) -> float:
        settings = TrainingSettings(steps=600, learning_rate=0.02, clip=0.0, optimizer=name)
        transform = optimizer(settings)

        def step(carry, _):
            x, state = carry
            change, state = transform.update(curvature @ x, state, x)
            return (optax.apply_updates(x, change), state), None

        start = jnp.asarray(turn @ np.ones(12))
        x = jax.lax.scan(step, (start, transform.init(start)), None, length=600)[0][0]
        return float(0.5 * x @ curvature @ x)

    assert left("soap") < 1e-2 * left("adam")
