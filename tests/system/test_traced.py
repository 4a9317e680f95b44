"""Traced systems: equal to `build_system`'s, differentiable, and refused where they could not be right."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jqc.errors import BasisError, InputError, MemoryLimitError
from jqc.system import Molecule, build_system, keep_orbitals, traced, with_range
from jqc.system.basis import auxiliary_basis, make_mole, make_shells
from jqc.system.integrals import one_electron, repulsion_factor
from jqc.system.parameters import basis_parameters
from jqc.system.traced import traced_system

COORDS = np.array([[0.0, 0.0, 0.2], [0.0, 1.43, -0.9], [0.1, -1.43, -0.9]])
WATER = Molecule.from_arrays(["O", "H", "H"], COORDS)
MOVED = COORDS + 0.1 * np.random.default_rng(0).normal(size=COORDS.shape)

SAME = 1e-10
"""Of integrals over primitives, contracted here, and contracted ones from libcint."""


@pytest.fixture(scope="module")
def water():
    return with_range(build_system(WATER, "6-31g", grid_level=0), (-0.11, 0.33))


def assert_same(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=SAME, err_msg=jax.tree_util.keystr(path))


@pytest.mark.parametrize("basis", ["sto-3g", "def2-svp", "cc-pvdz"])
def test_equals_build_system(basis):
    """Every leaf: segmented and general contractions, d orbitals, fitting functions up to g, an attenuated range."""
    built = with_range(build_system(WATER, basis, grid_level=0), (0.33,))
    found = traced_system(built, basis=basis_parameters(built))
    assert_same(replace(found, basis=built.basis), built)


def test_equals_build_system_elsewhere(water):
    built = with_range(build_system(Molecule.from_arrays(["O", "H", "H"], MOVED), "6-31g", grid_level=0), (-0.11, 0.33))
    found = traced_system(water, jnp.asarray(MOVED))
    # The metric of erf(ωr)/r is singular and restricted to directions of the place it came from.
    ours, theirs = found.repulsion.pop(0.33), built.repulsion.pop(0.33)
    np.testing.assert_allclose(ours.T @ ours, theirs.T @ theirs, rtol=0, atol=1e-7)
    assert_same(found, replace(built, groups=water.groups))


def scaled(basis, symbol: str, factor: float):
    """Exponents of one element and, by another factor, its first coefficients."""
    shells = [
        replace(s, exponents=factor * s.exponents, coefficients=s.coefficients.at[0].multiply(factor**2))
        for s in basis[symbol]
    ]
    return basis | {symbol: tuple(shells)}


def test_other_parameters_equal_pyscf(water):
    """Normalisation included: PySCF is given the same numbers as a basis of its own."""
    basis = scaled(basis_parameters(water), "O", 1.03)
    found = traced_system(water, basis=basis)
    mole = make_mole(WATER, "6-31g")
    fitting = auxiliary_basis(mole, water.aux_basis)[0]
    listed = {
        symbol: [[s.momentum, *np.column_stack([s.exponents, s.coefficients]).tolist()] for s in shells]
        for symbol, shells in basis.items()
    }
    mole = mole.copy().build(dump_input=False, basis=listed)
    n = mole.nao
    for name, matrix in one_electron(mole).items():
        np.testing.assert_allclose(getattr(found, name)[..., :n, :n], matrix, rtol=0, atol=SAME)
    factor = repulsion_factor(mole, fitting, 0.0)
    np.testing.assert_allclose(found.repulsion[0.0][: len(factor)], factor, rtol=0, atol=SAME)
    for shells, expected in zip(found.shells, make_shells(mole, found.n_padded), strict=True):
        np.testing.assert_allclose(shells.coefficients, expected.coefficients, rtol=1e-12)
        np.testing.assert_allclose(shells.exponents, expected.exponents, rtol=1e-12)
    with pytest.raises(BasisError, match="with other parameters"):
        with_range(found, (0.5,))


def test_every_leaf_in_both_modes(water):
    """A random sum of everything that depends on positions and parameters: forward, reverse and finite differences."""
    own = basis_parameters(water)
    rng = np.random.default_rng(1)

    def leaves(shift):
        moved = traced_system(water, COORDS + shift * MOVED, scaled(own, "H", 1 + shift))
        one_electron = [moved.overlap, moved.kinetic, moved.attraction, moved.dipole]
        return jax.tree.leaves(
            (moved.nuclear_repulsion, one_electron, moved.repulsion, [s.coefficients for s in moved.shells])
        )

    weights = [rng.normal(size=jnp.shape(leaf)) for leaf in leaves(0.0)]

    def function(shift):
        return jnp.stack([jnp.vdot(w, leaf) for w, leaf in zip(weights, leaves(shift), strict=True)])

    step = 1e-4
    expected = (function(step) - function(-step)) / (2 * step)
    value, forward = jax.jvp(function, (0.0,), (1.0,))
    np.testing.assert_allclose(forward, expected, rtol=2e-6, atol=1e-6 * float(jnp.abs(value).max()))
    reverse = jax.grad(lambda shift: function(shift).sum())(0.0)
    assert float(reverse) == pytest.approx(float(forward.sum()), rel=1e-9)


def test_kept_orbitals_are_let_go(water):
    """They do not know of positions."""
    assert all(group.orbitals is None for group in traced_system(keep_orbitals(water)).groups)


def test_what_cannot_be_differentiated_is_refused(water, monkeypatch):
    exact = build_system(WATER, "sto-3g", coulomb="exact", grid_level=0)
    with pytest.raises(InputError, match="coulomb='df'"):
        traced_system(exact)
    iodine = Molecule.from_arrays(["I", "H"], [[0.0, 0.0, 0.0], [0.0, 0.0, 3.0]])
    with pytest.raises(InputError, match="core potentials"):
        traced_system(build_system(iodine, "def2-svp", grid_level=0))
    with pytest.raises(InputError, match="traced system"):
        jax.jit(traced_system)(water)
    with pytest.raises(InputError, match="shape"):
        traced_system(water, COORDS[:2])
    with pytest.raises(BasisError, match="shells of H"):
        traced_system(water, basis=basis_parameters(water) | {"H": ()})
    monkeypatch.setattr(traced, "TABLE_LIMIT", 1000)
    with pytest.raises(MemoryLimitError, match="GiB"):
        traced_system(water)
