"""Atomic orbitals on points: values and gradients against PySCF, higher derivatives against themselves."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jqc.system import Molecule, gto
from jqc.system.basis import make_mole, make_shells

REFERENCE = 1e-11
"""Sums of a few Gaussians of size up to ten, in another order than PySCF's."""

ROUNDING = 1e-11
"""Two ways to the same derivative, each exact but for rounding of values up to some hundred."""

STEP = 1e-4
FINITE_DIFFERENCE = 1e-6
"""Central differences err by h²/6 f''' ≈ 1e-8 for derivatives of order unity, 1e-6 close to a core."""

BASES = {
    "def2-svp": "segmented, up to d",
    "cc-pvqz": "up to g on carbon and nitrogen",
    "ano": "general contraction, exponents shared between shells",
}


@cache
def hydrogen_cyanide(basis: str):
    molecule = Molecule.from_arrays(["H", "C", "N"], [[0.1, -0.2, -2.0], [0.0, 0.0, 0.0], [0.0, 0.3, 2.2]])
    mole = make_mole(molecule, basis)
    return mole, make_shells(mole, mole.nao)


def points(count: int = 60) -> jax.Array:
    return jnp.asarray(np.random.default_rng(1).normal(size=(count, 3), scale=2.0))


def in_order(shells, rows):
    """Rows of `evaluate` (by angular momentum, then shell, then m) as (component, ao, grid), ordered as in PySCF."""
    index = np.concatenate(
        [(np.asarray(s.offset)[:, None] + np.arange(2 * l + 1)).reshape(-1) for l, s in enumerate(shells)]
    )
    n_ao = max(np.asarray(s.offset).max() for s in shells)
    return jnp.swapaxes(jnp.zeros((n_ao + 9, *rows.shape[1:])).at[index].set(rows)[:n_ao], 0, 1)


def nuclei(basis: str = "cc-pvqz") -> jax.Array:
    return jnp.asarray(hydrogen_cyanide(basis)[0].atom_coords())


@partial(jax.jit, static_argnames=("basis", "gradient"))
def orbitals(basis: str, at, atom_coords=None, gradient: bool = True):
    _, shells = hydrogen_cyanide(basis)
    centers = nuclei(basis) if atom_coords is None else atom_coords
    return in_order(shells, gto.evaluate(shells, centers, at, gradient))


@partial(jax.jit, static_argnames=("basis", "gradient", "times"))
def along(basis: str, at, direction, gradient: bool = True, times: int = 1):
    """Derivative of the orbitals as all points move along a direction."""

    def value(at):
        return orbitals(basis, at, gradient=gradient)

    for _ in range(times):
        value = lambda at, value=value: jax.jvp(value, (at,), (direction,))[1]  # noqa: E731
    return value(at)


@pytest.mark.parametrize("basis", BASES)
def test_equals_pyscf(basis):
    mole, _ = hydrogen_cyanide(basis)
    expected = mole.eval_gto("GTOval_sph_deriv1", np.asarray(points())).transpose(0, 2, 1)
    np.testing.assert_allclose(orbitals(basis, points()), expected, rtol=0, atol=REFERENCE)


@pytest.mark.parametrize("basis", BASES)
def test_covers_all_angular_momenta(basis):
    mole, shells = hydrogen_cyanide(basis)
    highest = max(mole.bas_angular(i) for i in range(mole.nbas))
    assert len(shells) == highest + 1
    assert highest == {"def2-svp": 2, "cc-pvqz": 4, "ano": 4}[basis]


@pytest.mark.parametrize("basis", BASES)
def test_value_alone_is_the_first_component(basis):
    np.testing.assert_allclose(
        orbitals(basis, points(), gradient=False)[0], orbitals(basis, points())[0], rtol=0, atol=ROUNDING
    )


@pytest.mark.parametrize("axis", range(3))
def test_gradient_is_the_derivative_of_the_value(axis):
    direction = jnp.zeros_like(points()).at[:, axis].set(1.0)
    slope = along("cc-pvqz", points(), direction, gradient=False)[0]
    np.testing.assert_allclose(orbitals("cc-pvqz", points())[1 + axis], slope, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("atom", range(3))
def test_moving_a_nucleus_moves_its_orbitals_the_other_way(atom):
    mole, _ = hydrogen_cyanide("cc-pvqz")
    slope = moved_nucleus(jnp.zeros((3, 3)).at[atom, 1].set(1.0))
    start, stop = mole.aoslice_by_atom()[atom, 2:]
    expected = jnp.zeros_like(slope).at[start:stop].set(-orbitals("cc-pvqz", points())[2, start:stop])
    np.testing.assert_allclose(slope, expected, rtol=0, atol=ROUNDING)


@jax.jit
def moved_nucleus(direction):
    value = lambda c: orbitals("cc-pvqz", points(), c, gradient=False)[0]  # noqa: E731
    return jax.jvp(value, (nuclei(),), (direction,))[1]


@pytest.mark.parametrize("basis", ["def2-svp", "cc-pvqz"])
def test_second_derivatives_against_finite_differences(basis):
    direction = jnp.asarray(np.random.default_rng(2).normal(size=points().shape))
    slope = along(basis, points(), direction)
    ahead, behind = (orbitals(basis, points() + sign * STEP * direction) for sign in (1, -1))
    scale = 1 + jnp.abs(slope)
    np.testing.assert_allclose((ahead - behind) / (2 * STEP) / scale, slope / scale, rtol=0, atol=FINITE_DIFFERENCE)


@pytest.mark.parametrize("basis", ["def2-svp", "cc-pvqz"])
def test_second_derivatives_equal_pyscf(basis):
    mole, _ = hydrogen_cyanide(basis)
    expected = mole.eval_gto("GTOval_sph_deriv2", np.asarray(points()))[4:7].transpose(0, 2, 1)
    slope = along(basis, points(), jnp.zeros_like(points()).at[:, 0].set(1.0))[1:]
    scale = 1 + np.abs(expected)
    np.testing.assert_allclose(slope / scale, expected / scale, rtol=0, atol=REFERENCE)


@pytest.mark.parametrize("times", [0, 2])
def test_finite_on_a_nucleus(times):
    diagonal = jnp.ones((3, 3))
    assert np.isfinite(along("cc-pvqz", nuclei(), diagonal, times=times)).all()


def test_reverse_mode_is_finite_on_a_nucleus():
    total = lambda at, centers: jnp.sum(orbitals("def2-svp", at, centers) ** 2)  # noqa: E731
    at = nuclei("def2-svp")
    slopes = jax.jit(jax.grad(total, argnums=(0, 1)))(at, at)
    assert all(np.isfinite(slope).all() for slope in slopes)


def test_padding_shells_are_zero():
    mole, shells = hydrogen_cyanide("def2-svp")
    for s in shells:
        padding = np.asarray(s.offset) >= mole.nao
        assert padding.any()
        assert not np.asarray(s.coefficients)[padding].any()


@pytest.mark.parametrize("l", range(5))
def test_solid_harmonics_are_orthonormal_on_the_sphere(l):
    from pyscf.dft.gen_grid import LEBEDEV_ORDER, MakeAngularGrid  # exact for polynomials up to degree 2l

    at = MakeAngularGrid(LEBEDEV_ORDER[17])
    harmonics = np.stack(gto.solid_harmonics(l, *jnp.asarray(at[:, :3].T))[l])
    overlap = 4 * np.pi * (harmonics * at[:, 3]) @ harmonics.T
    np.testing.assert_allclose(overlap, np.eye(2 * l + 1), rtol=0, atol=1e-13)
