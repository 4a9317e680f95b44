"""Geometry of densities, and the energy's derivatives on it, at random densities that are not stationary."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jqc
from jqc.errors import InputError
from jqc.scf import grassmann
from jqc.scf.grassmann import Point
from jqc.system import Molecule, build_system, with_range
from jqc.xc.base import integrate

MOLECULES = Path(__file__).parents[2] / "examples/molecules"

DERIVATIVE = 1e-8
"""Relative; what finite differences of sixth order at a step of 0.004 leave."""

FINE = 2.5e-4
"""Step between gradients; r2SCAN switches so sharply that 0.004 leaves 1e-7."""

ROUNDING = 1e-11

CASES = [(name, molecule) for name in ("pbe", "r2scan", "b3lyp") for molecule in ("water", "oh")]


@cache
def system(name: str):
    held = build_system(Molecule.from_xyz(MOLECULES / f"{name}.xyz"), "6-31g", grid_level=0)
    return with_range(held, (0.0,))


@cache
def solution(name: str):
    return jqc.scf(system(name), "slater")


def tangent(at: Point, seed: int, size: float = 1.0):
    """A random tangent, zero where orbitals are absent."""
    shape = (at.virtual.shape[0], at.virtual.shape[-1], at.occupied.shape[-1])
    x = jnp.asarray(np.random.default_rng(seed).normal(size=shape))
    real = jnp.any(at.virtual != 0, axis=1)[:, :, None] & jnp.any(at.occupied != 0, axis=1)[:, None, :]
    x = jnp.where(real, x, 0.0)
    return size * x / jnp.linalg.norm(x)


@cache
def somewhere(name: str, spin_resolved: bool = False) -> Point:
    """A point some 0.4 radians from the solution."""
    at = grassmann.point(system(name), solution(name).mo_coeff, spin_resolved)
    return grassmann.exponential(at, tangent(at, 1, 0.4))


def slope(function, step: float = 4e-3):
    """d/dt at zero by central differences of sixth order."""
    weights = {1: 3 / 4, 2: -3 / 20, 3: 1 / 60}
    return sum(w * (function(k * step) - function(-k * step)) for k, w in weights.items()) / step


def overlap_error(held, at: Point) -> float:
    """Largest deviation of CᵀSC from one over orbitals that exist."""
    frame = jnp.concatenate([at.occupied, at.virtual], axis=-1)
    gram = jnp.swapaxes(frame, -1, -2) @ held.overlap @ frame
    exists = jnp.any(frame != 0, axis=1)
    return float(jnp.abs(gram - jax.vmap(jnp.diag)(exists.astype(float))).max())


# --- derivatives ---


@pytest.mark.parametrize(("name", "molecule"), CASES)
def test_gradient_along_a_geodesic(name, molecule):
    functional, at = jqc.functional(name), somewhere(molecule)
    x = tangent(at, 2)
    expected = slope(lambda t: float(grassmann.energy(functional, system(molecule), grassmann.exponential(at, t * x))))
    found = float(grassmann.inner(grassmann.gradient(functional, system(molecule), at), x))
    assert abs(found) > 1e-2  # not stationary
    assert found == pytest.approx(expected, rel=DERIVATIVE)


@pytest.mark.parametrize(("name", "molecule"), CASES)
def test_hessian_product_along_a_geodesic(name, molecule):
    """Frames are carried along in parallel, so that coordinates of gradients may be subtracted."""
    functional, at = jqc.functional(name), somewhere(molecule)
    x = tangent(at, 3)
    expected = slope(lambda t: grassmann.gradient(functional, system(molecule), grassmann.exponential(at, t * x)), FINE)
    found = grassmann.hvp(functional, system(molecule), at, x)
    np.testing.assert_allclose(found, expected, rtol=0, atol=DERIVATIVE * float(jnp.abs(expected).max()))


def test_spins_of_a_closed_shell_may_part():
    functional, at = jqc.functional("b3lyp"), somewhere("water", True)
    x = tangent(at, 4)
    expected = slope(lambda t: grassmann.gradient(functional, system("water"), grassmann.exponential(at, t * x)), FINE)
    found = grassmann.hvp(functional, system("water"), at, x)
    np.testing.assert_allclose(found, expected, rtol=0, atol=DERIVATIVE * float(jnp.abs(expected).max()))


def test_singlet_tangents_are_restricted_ones():
    functional = jqc.functional("b3lyp")
    at = grassmann.point(system("water"), solution("water").mo_coeff)
    apart = grassmann.point(system("water"), solution("water").mo_coeff, spin_resolved=True)
    x = tangent(at, 5)
    restricted = grassmann.hvp(functional, system("water"), at, x)
    singlet = grassmann.hvp(functional, system("water"), apart, grassmann.spin_tangent(x))
    triplet = grassmann.hvp(functional, system("water"), apart, grassmann.spin_tangent(x, -1))
    np.testing.assert_allclose(2 * singlet[0], restricted[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(triplet[0], -triplet[1], rtol=0, atol=1e-9)
    assert float(grassmann.inner(triplet, grassmann.spin_tangent(x, -1))) < float(
        grassmann.inner(singlet, grassmann.spin_tangent(x))
    )


@pytest.mark.parametrize("molecule", ["water", "oh"])
def test_whole_hessian(molecule):
    functional, at = jqc.functional("pbe"), somewhere(molecule)
    matrix = grassmann.hessian(functional, system(molecule), at)
    x = tangent(at, 6)
    product = grassmann.hvp(functional, system(molecule), at, x)
    np.testing.assert_allclose(matrix, matrix.T, rtol=0, atol=1e-9)
    np.testing.assert_allclose(matrix @ x.ravel(), product.ravel(), rtol=0, atol=1e-9)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ScaledPower:
    """e = −c Σ_σ ρσ^p: a functional with two parameters."""

    scale: jax.Array
    power: jax.Array
    ingredients = "rho"
    exchange = ()
    local = True

    def energy(self, density, quadrature):
        rho = jnp.maximum(density.rho, 1e-15)
        return integrate(-self.scale * jnp.sum(rho**self.power, axis=0), quadrature)


def test_third_derivative_by_a_functional_parameter():
    """∂⟨y, Hx⟩/∂θ, as training on Hessians needs it."""
    at = somewhere("water")
    x, y = tangent(at, 7), tangent(at, 8)

    def element(functional):
        return grassmann.inner(y, grassmann.hvp(functional, system("water"), at, x))

    functional = ScaledPower(jnp.asarray(0.9), jnp.asarray(4 / 3))
    found = jax.grad(element)(functional)
    by_scale = slope(lambda t: float(element(ScaledPower(functional.scale + t, functional.power))))
    by_power = slope(lambda t: float(element(ScaledPower(functional.scale, functional.power + t))), 2e-3)
    assert float(found.scale) == pytest.approx(by_scale, rel=DERIVATIVE)
    assert float(found.power) == pytest.approx(by_power, rel=1e-7)


# --- geometry ---


@pytest.mark.parametrize("molecule", ["water", "oh"])
def test_moves_stay_on_the_manifold(molecule):
    at = somewhere(molecule)
    for move in (grassmann.exponential, grassmann.retract):
        end = move(at, tangent(at, 9, 0.7))
        assert overlap_error(system(molecule), end) < ROUNDING
        electrons = jnp.sum(end.dm * system(molecule).overlap, axis=(1, 2))
        assert float(electrons.sum()) == pytest.approx(float(system(molecule).electrons.sum()), abs=1e-10)


def test_retraction_is_the_geodesic_to_second_order():
    at = somewhere("water")
    errors = []
    for size in (0.2, 0.1):
        x = tangent(at, 10, size)
        errors.append(float(jnp.linalg.norm(grassmann.retract(at, x).dm - grassmann.exponential(at, x).dm)))
    assert errors[0] / errors[1] == pytest.approx(8.0, rel=0.1)


@pytest.mark.parametrize("molecule", ["water", "oh"])
def test_logarithm_undoes_the_exponential(molecule):
    held, at = system(molecule), somewhere(molecule)
    x = tangent(at, 11, 0.9)
    end = grassmann.exponential(at, x)
    np.testing.assert_allclose(grassmann.logarithm(held, at, end), x, rtol=0, atol=1e-10)
    assert float(grassmann.distance(held, at, end)) == pytest.approx(0.9, abs=1e-10)


def test_distance_does_not_depend_on_the_frame():
    held, at = system("water"), somewhere("water")
    end = grassmann.exponential(at, tangent(at, 12, 0.5))
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(at.occupied.shape[-1],) * 2))[0]
    turned = Point(end.occupied @ turn, end.virtual)
    assert float(grassmann.distance(held, at, turned)) == pytest.approx(0.5, abs=1e-10)
    assert float(grassmann.distance(held, at, at)) == pytest.approx(0.0, abs=1e-7)


def test_transport_keeps_angles_and_carries_the_direction_itself():
    held, at = system("water"), somewhere("water")
    along, x = tangent(at, 13, 0.8), tangent(at, 14)
    end = grassmann.exponential(at, along)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(at.occupied.shape[-1],) * 2))[0]
    to = Point(end.occupied @ turn, end.virtual)
    carried = grassmann.parallel_transport(held, at, along, x, to)
    direction = grassmann.parallel_transport(held, at, along, along, to)
    assert float(grassmann.inner(carried, direction)) == pytest.approx(float(grassmann.inner(x, along)), abs=1e-12)
    onward = grassmann.exponential(to, direction)
    np.testing.assert_allclose(onward.dm, grassmann.exponential(at, 2 * along).dm, rtol=0, atol=1e-10)


def test_projection_keeps_what_moves_the_subspace():
    held, at = system("water"), somewhere("water")
    x = tangent(at, 15)
    inside = at.occupied @ jnp.asarray(np.random.default_rng(2).normal(size=(at.occupied.shape[-1],) * 2))
    np.testing.assert_allclose(grassmann.project(held, at, at.virtual @ x + inside), x, rtol=0, atol=1e-12)


def test_points_that_cannot_be():
    orbitals = solution("water").mo_coeff
    with pytest.raises(InputError, match="3 orbitals cannot hold 5"):
        grassmann.point(system("water"), orbitals[:, :3])
    with pytest.raises(InputError, match="need orbitals of both spins"):
        grassmann.point(system("oh"), solution("oh").mo_coeff[0])
