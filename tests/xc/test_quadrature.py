"""Density features on the grid: against PySCF, from either form of a density, and the transpose of the map."""

from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pyscf.dft import numint

from jqc.system import Molecule, build_system, keep_orbitals
from jqc.system.basis import make_mole
from jqc.xc import functional
from jqc.xc import quadrature as quadrature_module
from jqc.xc.quadrature import electron_number, features, quadrature, spin_resolved, xc_energy

MOLECULES = Path(__file__).parents[2] / "examples/molecules"

SCREENING = 1e-7
"""Orbitals below 1e-8 are left out of a block; times their neighbours and a density matrix of size ten."""

ROUNDING = 1e-11
"""Relative; the same sums in another order."""

INGREDIENTS = {"rho": 1, "sigma": 4, "tau": 5}


@cache
def system():
    return build_system(Molecule.from_xyz(MOLECULES / "water.xyz"), grid_level=1)


@cache
def kept():
    return keep_orbitals(system())


@cache
def occupied(n_spins: int) -> np.ndarray:
    """Factors A of density matrices A Aᵀ, (spin, ao, occ), padded."""
    n = int(system().n_ao)
    factors = np.random.default_rng(n_spins).normal(size=(n_spins, n, 5), scale=0.3)
    return np.pad(factors, ((0, 0), (0, system().n_padded - n), (0, 0)))


def density_matrix(n_spins: int) -> np.ndarray:
    return occupied(n_spins) @ occupied(n_spins).swapaxes(1, 2)


@cache
def pyscf_features(n_spins: int) -> np.ndarray:
    mole = make_mole(system().molecule, "def2-svp")
    orbitals = numint.eval_ao(mole, np.asarray(quadrature(system()).coords), deriv=1)
    n = mole.nao
    return np.stack(
        [
            numint.eval_rho(mole, orbitals, dm[:n, :n], xctype="MGGA", hermi=1, with_lapl=False)
            for dm in density_matrix(n_spins)
        ]
    )


computed = jax.jit(features, static_argnames="ingredients")


@pytest.mark.parametrize("n_spins", [1, 2])
@pytest.mark.parametrize("ingredients", INGREDIENTS)
def test_features_equal_pyscf(ingredients, n_spins):
    u = computed(system(), density_matrix(n_spins), ingredients)
    expected = pyscf_features(n_spins)[:, : INGREDIENTS[ingredients]]
    scale = 1 + np.abs(expected)
    np.testing.assert_allclose(u / scale, expected / scale, rtol=0, atol=SCREENING)


@pytest.mark.parametrize("ingredients", INGREDIENTS)
def test_occupied_orbitals_give_the_same_value(ingredients):
    from_dm = computed(system(), density_matrix(2), ingredients)
    from_occupied = computed(system(), density_matrix(2), ingredients, occupied(2))
    scale = 1 + np.abs(from_dm)
    np.testing.assert_allclose(from_occupied / scale, from_dm / scale, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("ingredients", INGREDIENTS)
def test_kept_orbitals_change_nothing(ingredients):
    on_the_fly = computed(system(), density_matrix(1), ingredients)
    from_memory = computed(kept(), density_matrix(1), ingredients)
    np.testing.assert_allclose(from_memory, on_the_fly, rtol=ROUNDING, atol=ROUNDING)


def symmetric(seed: int, n_spins: int) -> np.ndarray:
    matrix = np.random.default_rng(seed).normal(size=(n_spins, system().n_padded, system().n_padded))
    return matrix + matrix.swapaxes(1, 2)


@partial(jax.jit, static_argnames=("ingredients", "hinted", "on_the_fly"))
def forward_and_transpose(x, y, ingredients, hinted, on_the_fly):
    """L x, and Lᵀ y at a density (which a linear map does not depend on)."""
    held = system() if on_the_fly else kept()
    hint = jnp.asarray(occupied(2)) if hinted else None
    value = lambda dm: features(held, dm, ingredients, hint)  # noqa: E731
    at = jnp.asarray(density_matrix(2))
    return jax.jvp(value, (at,), (x,))[1], jax.vjp(value, at)[1](y)[0]


@pytest.mark.parametrize(
    ("ingredients", "hinted", "on_the_fly"),
    [("rho", True, False), ("sigma", True, False), ("tau", True, False), ("tau", False, False), ("tau", True, True)],
)
def test_transpose(ingredients, hinted, on_the_fly):
    """⟨Lx, y⟩ = ⟨x, Lᵀy⟩."""
    x = symmetric(3, 2)
    shape = (2, INGREDIENTS[ingredients], quadrature(system()).weights.size)
    y = np.random.default_rng(4).normal(size=shape)
    image, back = forward_and_transpose(x, y, ingredients, hinted, on_the_fly)
    assert float(jnp.sum(image * y)) == pytest.approx(float(jnp.sum(x * back)), rel=ROUNDING)


def test_derivative_is_the_map_itself():
    """With a hint, too: the hint makes the value cheap and changes nothing else."""
    x = symmetric(5, 2)
    y = jnp.zeros((2, 4, quadrature(system()).weights.size))
    for hinted in (True, False):
        image, _ = forward_and_transpose(x, y, "sigma", hinted, False)
        np.testing.assert_allclose(image, computed(system(), x, "sigma"), rtol=ROUNDING, atol=1e-9)


def test_only_the_symmetric_part_counts():
    lower = np.tril(density_matrix(1)) * 2
    np.fill_diagonal(lower[0], np.diag(density_matrix(1)[0]))
    np.testing.assert_allclose(
        computed(system(), lower, "tau"), computed(system(), density_matrix(1), "tau"), rtol=ROUNDING, atol=1e-9
    )


def test_restricted_density_is_halved():
    u = computed(system(), density_matrix(1), "tau")
    once, twice = spin_resolved(u), spin_resolved(jnp.concatenate([u, u]) / 2)
    for left, right in zip(jax.tree.leaves(once), jax.tree.leaves(twice), strict=True):
        np.testing.assert_array_equal(left, right)


def test_spin_resolved_products_of_gradients():
    u = computed(system(), density_matrix(2), "tau")
    density = spin_resolved(u)
    a, b = np.asarray(u[:, 1:4])
    np.testing.assert_allclose(density.sigma, [(a * a).sum(0), (a * b).sum(0), (b * b).sum(0)], rtol=1e-13)
    np.testing.assert_array_equal(density.rho, u[:, 0])
    np.testing.assert_array_equal(density.tau, u[:, 4])


def test_features_that_are_not_read_are_zero():
    density = spin_resolved(computed(system(), density_matrix(2), "rho"))
    assert density.sigma.shape == (3, density.rho.shape[1])
    assert not density.sigma.any()
    assert not density.tau.any()


def test_quadrature_counts_electrons_of_a_density_matrix():
    """tr(D S), within what a coarse grid can do."""
    u = computed(system(), density_matrix(1), "rho")
    count = float(jnp.sum(u[0, 0] * quadrature(system()).weights))
    assert count == pytest.approx(float(np.sum(density_matrix(1) * system().overlap)), rel=1e-3)


def xc_of(functional, dm):
    return xc_energy(functional, kept(), features(kept(), dm, functional.ingredients))


@pytest.mark.parametrize("name", ["pbe", "r2scan"])
def test_pieces_of_the_grid_add_up(monkeypatch, name):
    """Energy and potential of a local functional do not depend on how the grid is cut; 999 divides no grid."""
    dm = jnp.asarray(density_matrix(2))
    slope = jax.value_and_grad(lambda dm: xc_of(functional(name), dm))
    whole, potential = jax.jit(slope)(dm)
    monkeypatch.setattr(quadrature_module, "PIECE", 999)
    added, again = jax.jit(lambda dm: slope(dm))(dm)
    assert float(added) == pytest.approx(float(whole), rel=ROUNDING)
    np.testing.assert_allclose(again, potential, rtol=0, atol=ROUNDING * float(jnp.abs(potential).max()))


def test_a_functional_of_the_whole_density_sees_it_at_once(monkeypatch):
    """The square of the electron number is no sum over pieces."""

    class Square:
        ingredients = "rho"
        exchange = ()
        local = False

        def energy(self, density, grid):
            return jnp.sum(density.rho * grid.weights) ** 2

    monkeypatch.setattr(quadrature_module, "PIECE", 999)
    u = computed(kept(), density_matrix(2), "rho")
    electrons = float(electron_number(kept(), u))
    assert float(xc_energy(Square(), kept(), u)) == pytest.approx(electrons**2, rel=ROUNDING)
