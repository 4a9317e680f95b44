"""Residuals against the whole machinery: a student's derivatives less the teacher's, both from the Grassmannian."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jqc
from jqc.distill.difference import Difference
from jqc.distill.example import stack
from jqc.distill.labels import label, padded_point
from jqc.distill.residuals import density_error, residuals
from jqc.scf import grassmann
from jqc.system import build_system
from jqc.xc.neural.architectures import create

SAME = 1e-10
"""Hartree; sums in another order."""

STUDENTS = ("pbe0", pytest.param("pbe", marks=pytest.mark.slow), pytest.param("r2scan", marks=pytest.mark.slow))
"""The first one has exact exchange, the last one reads τ."""

found_by = jax.jit(residuals)


def difference(student: str) -> Difference:
    return Difference(jqc.functional(student), jqc.functional("b3lyp"))


def along(k: int):
    return jnp.eye(2)[k : k + 1]


@pytest.fixture(scope="module")
def system(water):
    return build_system(water, grid_level=0)


@pytest.mark.parametrize("student", STUDENTS)
def test_student_less_teacher(student, labels, water_example, system):
    found = found_by(difference(student), water_example, along(1), jnp.ones(1))
    at = grassmann.point(system, labels["mo_coeff"][0])
    functional = jqc.functional(student)
    for k, x in enumerate([0 * labels["tangents"][0], *labels["tangents"]]):
        there = grassmann.exponential(at, x)
        energy = float(grassmann.energy(functional, system, there)) - labels["energies"][k]
        assert float(found.energies[k]) == pytest.approx(energy, abs=SAME)
        gradient = grassmann.gradient(functional, system, there) - labels["gradients"][k]
        np.testing.assert_allclose(found.gradients[k], gradient, atol=SAME)
    product = grassmann.hvp(functional, system, at, labels["tangents"][1]) - labels["hessian_products"][1]
    np.testing.assert_allclose(found.products[0], product, atol=SAME)


def test_unpaired_electrons(hydroxyl, settings, example_of):
    """Both spins, of which one has a column of zeros among its occupied orbitals."""
    labels = {name: array for name, (array, _) in label(hydroxyl, "oh", settings).items()}
    system, functional = build_system(hydroxyl, grid_level=0), jqc.functional("pbe0")
    found = found_by(difference("pbe0"), example_of(labels, hydroxyl), along(0), jnp.ones(1))
    at = padded_point(system, jnp.asarray(labels["mo_coeff"]))
    virt, occ = labels["tangents"].shape[-2:]
    room = ((0, 0), (0, at.virtual.shape[-1] - virt), (0, at.occupied.shape[-1] - occ))
    cut = lambda x: np.asarray(x)[..., :virt, :occ]  # noqa: E731
    x = jnp.pad(labels["tangents"][0], room)
    there = grassmann.exponential(at, x)
    energy = float(grassmann.energy(functional, system, there)) - labels["energies"][1]
    assert float(found.energies[1]) == pytest.approx(energy, abs=SAME)
    gradient = cut(grassmann.gradient(functional, system, there)) - labels["gradients"][1]
    np.testing.assert_allclose(cut(found.gradients[1]), gradient, atol=SAME)
    product = cut(grassmann.hvp(functional, system, at, x)) - labels["hessian_products"][0]
    np.testing.assert_allclose(cut(found.products[0]), product, atol=SAME)


@pytest.mark.parametrize("student", STUDENTS)
def test_triplet_products(student, labels, water_example, system):
    """Spins that change oppositely, from a calculation of both spins."""
    found = found_by(difference(student), water_example, along(0), -jnp.ones(1))
    at = grassmann.point(system, jnp.stack([labels["mo_coeff"][0]] * 2))
    x = grassmann.spin_tangent(labels["tangents"][0], -1)
    student_, teacher = (grassmann.hvp(jqc.functional(name), system, at, x) for name in (student, "b3lyp"))
    np.testing.assert_allclose(found.products[0][0], 2 * (student_ - teacher)[0], atol=SAME)


def test_tangents_combine(water_example):
    both = jnp.asarray([[0.6, -0.8]])
    parts = found_by(difference("pbe0"), water_example, jnp.eye(2), jnp.ones(2)).products
    found = found_by(difference("pbe0"), water_example, both, jnp.ones(1)).products
    np.testing.assert_allclose(found[0], 0.6 * parts[0] - 0.8 * parts[1], atol=SAME)


def test_density_error_is_that_of_one_diagonalisation(labels, water_example, system):
    """∫(ρ' − ρ)² where ρ' fills the lowest orbitals of F + t (V − V_ref), in the limit of small t."""
    student, teacher = jqc.functional("pbe"), jqc.functional("b3lyp")
    n = int(system.n_ao)
    dm = jnp.asarray(labels["dm"][0])
    slope = jax.grad(jqc.energy, argnums=2)
    fock = slope(teacher, system, dm)
    coeff = labels["mo_coeff"][0]
    change = coeff.T @ (slope(student, system, dm) - fock) @ coeff
    step = 1e-4
    levels = np.diag(labels["mo_energy"][0])
    turned = [np.linalg.eigh(levels + t * change)[1][:, :5] for t in (step, -step)]
    moved = (turned[0] @ turned[0].T - turned[1] @ turned[1].T) / (2 * step)
    dm_change = jnp.pad(2 * coeff @ moved @ coeff.T, (0, system.n_padded - n))
    from jqc.xc.quadrature import features, quadrature

    rho = features(system, dm_change[None], "rho")[0, 0]
    gradient = found_by(Difference(student, teacher), water_example, along(0), jnp.ones(1)).gradients[0]
    error = jax.jit(density_error)(water_example, gradient)
    assert float(error) == pytest.approx(float(jnp.sum(rho**2 * quadrature(system).weights)), rel=1e-5)


@pytest.mark.parametrize("student", ["b3lyp", pytest.param("xcdiff", marks=pytest.mark.slow)])
def test_nothing_is_left_where_student_and_teacher_are_one(student, water_example):
    one = create(student, jax.random.key(0)) if student == "xcdiff" else jqc.functional(student)
    found = found_by(Difference(one, one), water_example, along(0), jnp.ones(1))
    for leaf in jax.tree.leaves(found):
        np.testing.assert_allclose(leaf, 0.0, atol=1e-12)


def test_single_precision_and_padding_change_little(water_example):
    batch = stack([water_example])
    one = jax.tree.map(lambda leaf: leaf[0], batch)
    assert one.tangents.dtype == np.float32
    exact = found_by(difference("pbe"), water_example, along(0), jnp.ones(1))
    rough = found_by(difference("pbe"), one, along(0).astype(np.float32), jnp.ones(1, np.float32))
    # Sums of 10⁴ terms of some −8 Eh in all, and core orbitals whose distance to the nucleus is a small difference.
    np.testing.assert_allclose(rough.energies, exact.energies, atol=2e-5)
    np.testing.assert_allclose(rough.gradients, exact.gradients, atol=3e-5)
    np.testing.assert_allclose(rough.products, exact.products, atol=3e-5)
