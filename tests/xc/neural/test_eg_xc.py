"""EG-XC: symmetries, separation, smoothness, memory, and an SCF with forces and excitations."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jqc
from jqc.errors import FunctionalError
from jqc.pyscf import with_functional
from jqc.response import forces
from jqc.response.tddft import excitations
from jqc.scf import SCFSettings
from jqc.system import build_system
from jqc.units import ANGSTROM
from jqc.xc import Density, Quadrature
from jqc.xc.features import TAU_UNIFORM
from jqc.xc.neural import eg_xc
from jqc.xc.neural.xcdiff import XCDiff

ROUNDING = 1e-12
"""Relative; the same sums in another order or frame."""

COUNT = 300
TIGHT = SCFSettings(energy_tolerance=1e-11, residual_tolerance=1e-7)


@pytest.fixture(scope="module")
def xc(randomised):
    """Parameters far from zero, in double precision; smaller than published."""
    return jax.tree.map(lambda leaf: leaf.astype(float), randomised("eg-xc", 0.2, features=16, layers=2))


def lump(seed: int = 0) -> tuple[Density, Quadrature]:
    """Electrons around three atoms, on a grid of random points."""
    rng = np.random.default_rng(seed)
    rho = 10 ** rng.uniform(-3, 0.5, (2, COUNT))
    slope = 10 ** rng.uniform(-1, 0.5, (2, COUNT)) * 6 * rho ** (4 / 3)
    sigma = np.stack([slope[0] ** 2, rng.uniform(-1, 1, COUNT) * slope[0] * slope[1], slope[1] ** 2])
    tau = sigma[[0, 2]] / (8 * rho) + TAU_UNIFORM * rho ** (5 / 3)
    centres = rng.normal(size=(3, 3)) * 2
    coords = centres[rng.integers(0, 3, COUNT)] + rng.normal(size=(COUNT, 3))
    density = Density(*map(jnp.asarray, (rho, sigma, tau)))
    grid = Quadrature(
        jnp.asarray(coords), jnp.asarray(20 / COUNT / rho.sum(0)), jnp.asarray(centres), jnp.asarray([8, 1, 6])
    )
    return density, grid


@jax.jit
def energy(xc, density: Density, grid: Quadrature):
    return xc.energy(density, grid)


def moved(grid: Quadrature, function) -> Quadrature:
    return replace(grid, coords=function(grid.coords), atom_coords=function(grid.atom_coords))


def together(*lumps: tuple[Density, Quadrature]) -> tuple[Density, Quadrature]:
    densities, grids = zip(*lumps, strict=True)
    return (
        jax.tree.map(lambda *rows: jnp.concatenate(rows, axis=1), *densities),
        jax.tree.map(lambda *rows: jnp.concatenate(rows), *grids),
    )


def test_untrained_is_its_semilocal_part(randomised):
    density, grid = lump()
    expected = XCDiff().apply(randomised("xcdiff", 0.0).parameters, density, grid)
    got = energy(randomised("eg-xc", 0.0, features=16, layers=2), density, grid)
    assert float(got) == pytest.approx(float(expected), rel=ROUNDING)


@pytest.mark.parametrize("mirrored", [False, True])
def test_rotation_reflection_and_translation(xc, mirrored):
    density, grid = lump()
    turn = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn)) * (-1 if mirrored else 1)
    turned = moved(grid, lambda r: r @ turn.T + np.array([1.0, -2.0, 0.5]))
    assert float(energy(xc, density, turned)) == pytest.approx(float(energy(xc, density, grid)), rel=ROUNDING)


def test_order_of_atoms_and_points(xc):
    density, grid = lump()
    order = np.random.default_rng(2).permutation(COUNT)
    atoms = jnp.array([2, 0, 1])
    mixed = Quadrature(grid.coords[order], grid.weights[order], grid.atom_coords[atoms], grid.numbers[atoms])
    again = energy(xc, jax.tree.map(lambda a: a[:, order], density), mixed)
    assert float(again) == pytest.approx(float(energy(xc, density, grid)), rel=ROUNDING)


def test_geometry_matters(xc):
    """The invariances above are no constant's: moving one atom or one lump's electrons is felt."""
    density, grid = lump()
    before = float(energy(xc, density, grid))
    for changed in (
        replace(grid, atom_coords=grid.atom_coords.at[0, 0].add(0.3)),
        replace(grid, coords=grid.coords.at[: COUNT // 2, 0].add(0.3)),
    ):
        assert abs(float(energy(xc, density, changed)) - before) > 1e-4


def test_padded_atoms_take_no_part(xc):
    density, grid = lump()
    padded = replace(
        grid, atom_coords=jnp.pad(grid.atom_coords, ((0, 2), (0, 0))), numbers=jnp.pad(grid.numbers, (0, 2))
    )
    assert float(energy(xc, density, padded)) == pytest.approx(float(energy(xc, density, grid)), rel=ROUNDING)


def test_strangers_add_up(xc):
    """Two lumps 50 Å apart, alike or not, and one in the reach of the other, which is felt."""
    (a, a_grid), (b, b_grid) = lump(0), lump(1)
    far = moved(b_grid, lambda r: r + jnp.array([50 / ANGSTROM, 0, 0]))
    near = moved(b_grid, lambda r: r + jnp.array([3.0, 0, 0]))
    apart = float(energy(xc, a, a_grid)) + float(energy(xc, b, b_grid))
    assert float(energy(xc, *together((a, a_grid), (b, far)))) == pytest.approx(apart, rel=ROUNDING)
    assert abs(float(energy(xc, *together((a, a_grid), (b, near)))) - apart) > 1e-4
    twice = together((a, a_grid), (a, moved(a_grid, lambda r: r - jnp.array([0, 50 / ANGSTROM, 0]))))
    assert float(energy(xc, *twice)) == pytest.approx(2 * float(energy(xc, a, a_grid)), rel=ROUNDING)


def test_pieces_add_up(xc, monkeypatch):
    density, grid = lump()
    monkeypatch.setattr(eg_xc, "PIECE", 77)
    assert float(jax.jit(lambda: xc.energy(density, grid))()) == pytest.approx(
        float(energy(xc, density, grid)), rel=ROUNDING
    )


def test_smooth_at_nuclei_and_at_the_cutoff(xc):
    """Two derivatives by a point's distance from the only atom are finite and continuous."""
    cutoff = xc.model.cutoff
    density = jax.tree.map(lambda a: a[:, :2], lump()[0])

    def along(x):
        coords = jnp.array([[0.3, 0.0, 0.0], [0.0, 0.0, 0.0]]).at[1, 0].set(x)
        grid = Quadrature(coords, jnp.ones(2), jnp.zeros((1, 3)), jnp.ones(1, int))
        return xc.energy(density, grid)

    curvature = jax.jit(jax.vmap(jax.grad(jax.grad(along))))
    for around in (0.0, 0.99**0.5 * cutoff, cutoff):
        values = curvature(jnp.linspace(around - 1e-4, around + 1e-4, 9))
        assert np.isfinite(values).all()
        assert float(jnp.ptp(values)) < 1e-2 * (1e-6 + float(jnp.abs(values).max()))
    slopes = jax.grad(lambda centre: energy(xc, density, replace(one_atom(), atom_coords=centre)))(jnp.zeros((1, 3)))
    assert np.isfinite(slopes).all()


def one_atom() -> Quadrature:
    """One of two points sits on the nucleus."""
    return Quadrature(jnp.array([[0.0, 0, 0], [0.3, 0, 0]]), jnp.ones(2), jnp.zeros((1, 3)), jnp.ones(1, int))


def test_memory_does_not_grow_with_the_grid(randomised):
    """300,000 points and 21 atoms, aspirin's, take less than 300 MB of temporaries; compiled, not run."""
    shape = jax.ShapeDtypeStruct
    density = Density(*(shape((rows, 300_000), float) for rows in (2, 3, 2)))
    grid = Quadrature(shape((300_000, 3), float), shape((300_000,), float), shape((21, 3), float), shape((21,), int))
    program = energy.lower(randomised("eg-xc"), density, grid).compile()
    assert program.memory_analysis().temp_size_in_bytes < 300e6


@pytest.fixture(scope="module")
def solved(xc, water):
    return jqc.scf(build_system(water, grid_level=0), xc, settings=TIGHT).check()


def test_forces_are_slopes_on_a_fixed_grid(solved):
    """The quadrature stays where it was, as it does in the force."""
    molecule, system, step = solved.system.molecule, solved.system, 1e-3

    def at(shift: float) -> float:
        coords = np.array(molecule.coords)
        coords[1, 2] += shift
        there = build_system(replace(molecule, coords=coords), grid_level=0, like=system)
        return jqc.scf(replace(there, groups=system.groups), solved.functional, settings=TIGHT).check().energy

    assert forces(solved)[1, 2] == pytest.approx((at(-step) - at(step)) / (2 * step), abs=2e-6)


@pytest.mark.slow
def test_excitations(solved, randomised, water):
    """Untrained they are those of the local-density approximation; else they are other ones, of a molecule still."""
    system = build_system(water, grid_level=0)
    untrained = randomised("eg-xc", 0.0, features=16, layers=2)
    here, local = (
        np.asarray(excitations(jqc.scf(system, functional, settings=TIGHT).check(), states=2).energies)
        for functional in (untrained, "slater + pw92")
    )
    np.testing.assert_allclose(here, local, rtol=0, atol=1e-6)
    energies = np.asarray(excitations(solved, states=2).energies)
    assert (np.abs(energies - local) > 1e-4).all()
    assert (energies > 0.05).all()
    assert (energies < 2).all()


@pytest.mark.slow
def test_open_shells(randomised, hydroxyl):
    result = jqc.scf(build_system(hydroxyl, grid_level=0), randomised("eg-xc", 0.05, features=16, layers=2)).check()
    assert result.iterations < 40


def test_pyscf_asks_point_by_point(xc):
    from pyscf import dft, gto

    with pytest.raises(FunctionalError, match="whole grid"):
        with_functional(dft.RKS(gto.M(atom="He", basis="def2-svp", verbose=0)), xc)
