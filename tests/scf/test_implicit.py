"""Derivatives of a converged SCF: against finite differences of whole SCFs and against unrolling, in every mode."""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jqc
from jqc.scf import SCFSettings
from jqc.scf.energy import energy_parts
from jqc.scf.grassmann import point
from jqc.scf.implicit import relaxed_dm
from jqc.scf.occupation import aufbau
from jqc.scf.step import diagonalise, orthonormal_basis
from jqc.system import Molecule, build_system, keep_orbitals

MOLECULES = Path(__file__).parents[2] / "examples/molecules"

TIGHT = SCFSettings(energy_tolerance=1e-11, residual_tolerance=1e-8)

HYBRID = "0.2*hf + 0.8*slater + vwn5"
"""A hybrid whose third derivatives are compiled in a fraction of the time that B3LYP's take."""

AGREEMENT = 1e-6
"""Relative, of implicit and unrolled derivatives."""


AMIDOGEN = Molecule.from_arrays(["N", "H", "H"], [[0.0, 0.0, 0.1], [0.0, 1.5, -1.1], [0.0, -1.5, -1.1]], spin=1)
"""One unpaired electron in an orbital of its own symmetry: no rotation costs nothing, as in OH."""


@cache
def system(name: str):
    molecule = AMIDOGEN if name == "nh2" else Molecule.from_xyz(MOLECULES / f"{name}.xyz")
    return build_system(molecule, "6-31g", grid_level=0)


def in_field(held, field):
    """The system in a homogeneous electric field: electrons feel + r·F."""
    return replace(held, attraction=held.attraction + jnp.einsum("x,xmn->mn", field, held.dipole))


@cache
def solution(name: str, xc: str = "pbe"):
    return jqc.scf(system(name), xc, settings=TIGHT).check()


def dipole(held, dm):
    return -jnp.einsum("xmn,smn->x", held.dipole, dm)


def relaxed_dipole(name: str, xc: str = "pbe", order: int = 1):
    """The electronic dipole moment as a function of the field, through the implicit rule."""
    result = solution(name, xc)
    held, at = keep_orbitals(result.system), point(result.system, result.mo_coeff)

    def function(field):
        moved = in_field(held, field)
        return dipole(moved, relaxed_dm(result.functional, moved, at, order))

    return function


def by_whole_scfs(name: str, axis: int, xc: str = "pbe", step: float = 2e-3):
    found = []
    for sign in (1, -1):
        moved = in_field(system(name), sign * step * jnp.eye(3)[axis])
        dm = jqc.scf(moved, xc, settings=TIGHT).check().dm
        n = dm.shape[-1]
        found.append(-np.einsum("xmn,smn->x", system(name).dipole[:, :n, :n], dm.reshape(-1, n, n)))
    return (found[0] - found[1]) / (2 * step)


@pytest.mark.parametrize(
    ("name", "xc", "order"),
    [
        pytest.param("water", HYBRID, 2, marks=pytest.mark.slow),
        ("nh2", "pbe", 1),
        pytest.param("water", "pbe", 1, marks=pytest.mark.slow),
        pytest.param("water", "b3lyp", 2, marks=pytest.mark.slow),
    ],
)
def test_polarizability_in_both_modes(name, xc, order):
    function = relaxed_dipole(name, xc, order)
    forward = jax.jit(jax.jacfwd(function))(jnp.zeros(3))
    reverse = jax.jit(jax.jacrev(function))(jnp.zeros(3))
    np.testing.assert_allclose(forward, reverse, rtol=0, atol=1e-7)
    np.testing.assert_allclose(forward, forward.T, rtol=0, atol=1e-6)
    if name == "water":
        np.testing.assert_allclose(forward[:, 2], by_whole_scfs(name, 2, xc), rtol=0, atol=2e-4)


def unrolled_dm(functional, held, dm, iterations: int):
    """Plain Roothaan iterations, damped, differentiated as they stand."""

    def iterate(dm, _):
        fock = jax.grad(lambda dm: energy_parts(functional, held, dm).total)(dm)
        basis, present = orthonormal_basis(held.overlap, 1e-6)
        mo_energy, mo_coeff = diagonalise(basis.T @ fock @ basis, basis, present)
        filled = 2 * aufbau(mo_energy, held.electrons[:1])
        new = (mo_coeff * filled[:, None, :]) @ jnp.swapaxes(mo_coeff, -1, -2)
        return 0.7 * new + 0.3 * dm, None

    return jax.lax.scan(iterate, dm, None, length=iterations)[0]


def test_implicit_is_unrolled():
    """d(dipole)/d(field) of water through 250 iterations, in which every orbital energy is distinct."""
    result = solution("water")
    held = keep_orbitals(system("water"))
    n = held.n_padded
    start = jnp.pad(result.dm, (0, n - result.dm.shape[0]))[None]

    def unrolled(strength):
        moved = in_field(held, jnp.array([0.0, 0.0, strength]))
        return dipole(moved, unrolled_dm(result.functional, moved, start, 250))

    expected = jax.jit(jax.jacfwd(unrolled))(0.0)
    found = jax.jit(jax.jacfwd(relaxed_dipole("water")))(jnp.zeros(3))[:, 2]
    np.testing.assert_allclose(found, expected, rtol=0, atol=AGREEMENT * float(jnp.abs(expected).max()))


@pytest.mark.parametrize("xc", ["lda", pytest.param("pbe", marks=pytest.mark.slow)])
def test_second_derivatives_in_mixed_modes(xc):
    """The first hyperpolarizability: forward over reverse and forward over forward, against finite differences."""
    function = relaxed_dipole("water", xc, order=2)
    along = lambda f: function(jnp.array([0.0, 0.0, f]))[2]  # noqa: E731
    mixed = jax.jit(jax.jacfwd(jax.grad(along)))(0.0)
    forward = jax.jit(jax.jacfwd(jax.jacfwd(along)))(0.0)
    assert float(mixed) == pytest.approx(float(forward), rel=1e-5)
    step = 2e-3
    values = []
    for field in (step, 0.0, -step):
        dm = jqc.scf(in_field(system("water"), jnp.array([0.0, 0.0, field])), xc, settings=TIGHT).check().dm
        values.append(-float(jnp.sum(system("water").dipole[2, : len(dm), : len(dm)] * dm)))
    expected = (values[0] - 2 * values[1] + values[2]) / step**2
    assert float(mixed) == pytest.approx(expected, rel=1e-3)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ScaledSlater:
    """Slater's exchange times a parameter, with LYP correlation."""

    scale: jax.Array
    ingredients = "sigma"
    exchange = ()
    local = True

    def energy(self, density, quadrature):
        slater, lyp = jqc.functional("slater"), jqc.functional("lyp")
        return self.scale * slater.energy(density, quadrature) + lyp.energy(density, quadrature)


def test_derivative_by_a_functional_parameter():
    """d(dipole)/d(scale of exchange), against whole SCFs."""
    held = system("water")
    step = 1e-3
    values = [jqc.scf(held, ScaledSlater(jnp.asarray(1 + s * step)), settings=TIGHT).check().dipole for s in (1, -1)]
    result = jqc.scf(held, ScaledSlater(jnp.asarray(1.0)), settings=TIGHT).check()
    at = point(held, result.mo_coeff)
    relaxed = lambda functional: dipole(held, relaxed_dm(functional, held, at, order=1))[2]  # noqa: E731
    slope = jax.jit(jax.grad(relaxed))(result.functional)
    assert float(slope.scale) == pytest.approx((values[0] - values[1])[2] / (2 * step), rel=1e-4)


@pytest.mark.parametrize("name", ["benzene", pytest.param("neon", marks=pytest.mark.slow)])
def test_degenerate_orbitals_do_no_harm(name):
    """Isotropic polarizability in the plane of benzene, and of an atom; all finite."""
    if name == "neon":
        held = build_system(Molecule.from_arrays(["Ne"], [[0.0, 0.0, 0.0]]), "6-31g", grid_level=1)
    else:
        held = build_system(Molecule.from_xyz(MOLECULES / "benzene.xyz"), "sto-3g", grid_level=1)
    result = jqc.scf(held, "lda", settings=TIGHT).check()
    held, at = keep_orbitals(held), point(held, result.mo_coeff)

    def function(field):
        moved = in_field(held, field)
        return dipole(moved, relaxed_dm(result.functional, moved, at, order=1))

    alpha = jax.jit(jax.jacrev(function))(jnp.zeros(3))
    assert bool(jnp.isfinite(alpha).all())
    values = np.linalg.eigvalsh(0.5 * (alpha + alpha.T))
    if name == "neon":
        np.testing.assert_allclose(values, values[0], rtol=1e-4)
    else:
        assert values[1] == pytest.approx(values[2], rel=1e-3)
