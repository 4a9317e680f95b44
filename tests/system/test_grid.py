"""Quadrature points and weights against PySCF's, and blocks that leave out nothing that matters."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyscf.dft.gen_grid import Grids
from scipy.spatial import KDTree

from jqc.system import Molecule, build_system
from jqc.system.basis import make_mole
from jqc.system.grid import CUTOFF, compact_order, molecular_grid

MOLECULES = Path(__file__).parents[2] / "examples/molecules"

SAME_POINT = 1e-10
"""Bohr; points that are the same up to rounding."""

DROPPED_WEIGHT = 1e-10
"""Bohr³ in all; Becke's partition leaves many points that weigh nothing."""


@cache
def water():
    return Molecule.from_xyz(MOLECULES / "water.xyz")


@cache
def reference(level: int) -> tuple[np.ndarray, np.ndarray]:
    grids = Grids(make_mole(water(), "def2-svp"))
    grids.level = level
    grids.build()
    return grids.coords, grids.weights


@cache
def system(level: int):
    return build_system(water(), grid_level=level)


def of_system(level: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of a system without padding."""
    coords = np.concatenate([np.asarray(g.coords).reshape(-1, 3) for g in system(level).groups])
    weights = np.concatenate([np.asarray(g.weights).reshape(-1) for g in system(level).groups])
    return coords[weights != 0], weights[weights != 0]


def plain(level: int) -> tuple[np.ndarray, np.ndarray]:
    mole = make_mole(water(), "def2-svp")
    grid = molecular_grid(mole, level, mole.nao)
    return np.asarray(grid.coords), np.asarray(grid.weights)


@pytest.mark.parametrize("level", [0, 3, 5])
@pytest.mark.parametrize("points", [plain, of_system])
def test_same_points_and_weights_as_pyscf(points, level):
    coords, weights = points(level)
    expected_coords, expected_weights = reference(level)
    distance, nearest = KDTree(expected_coords).query(coords)
    assert distance.max() < SAME_POINT
    assert len(set(nearest.tolist())) == len(nearest)
    np.testing.assert_allclose(weights, expected_weights[nearest], rtol=1e-12, atol=1e-15)
    left_out = np.setdiff1d(np.arange(len(expected_weights)), nearest)
    assert np.abs(expected_weights[left_out]).sum() < DROPPED_WEIGHT


def test_finer_levels_have_more_points():
    counts = [len(plain(level)[1]) for level in range(5)]
    assert counts == sorted(set(counts))


@given(st.integers(1, 400), st.integers(1, 64), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_compact_order_is_a_permutation(count, block, seed):
    coords = np.random.default_rng(seed).normal(size=(count, 3))
    assert sorted(compact_order(coords, block).tolist()) == list(range(count))


def test_compact_order_makes_small_boxes():
    coords = np.random.default_rng(3).uniform(size=(4096, 3))
    blocks = coords[compact_order(coords, 64)].reshape(-1, 64, 3)
    extent = (blocks.max(axis=1) - blocks.min(axis=1)).prod(axis=1)
    assert extent.mean() < 2 / len(blocks)  # 64 boxes that tile the unit cube


def test_equal_points_are_ordered_too():
    assert sorted(compact_order(np.zeros((300, 3)), 64).tolist()) == list(range(300))


@cache
def chain():
    """Two molecules far enough apart that no block is reached by all orbitals."""
    one = np.asarray(water().coords)
    coords = np.concatenate([one, one + np.array([0.0, 0.0, 30.0])])
    return Molecule.from_arrays(["O", "H", "H"] * 2, coords)


def test_blocks_hold_every_orbital_that_reaches_them():
    far = build_system(chain(), grid_level=0)
    mole = make_mole(chain(), "def2-svp")
    widths = []
    for group in far.groups:
        for coords, weights, index in zip(group.coords, group.weights, group.index, strict=True):
            if not np.asarray(weights).any():
                continue
            values = mole.eval_gto("GTOval_sph_deriv1", np.asarray(coords))
            needed = np.flatnonzero(np.abs(values).max(axis=(0, 1)) > CUTOFF)
            held = np.asarray(index)
            assert np.isin(needed, held).all()
            widths.append((held < mole.nao).sum())
    assert min(widths) <= mole.nao / 2  # and screening does leave out the far molecule


def test_no_orbital_is_held_twice():
    for group in system(3).groups:
        for index in np.asarray(group.index):
            real = index[index < int(system(3).n_ao)]
            assert len(set(real.tolist())) == len(real)


def test_weights_integrate_a_gaussian():
    coords, weights = of_system(3)
    center = np.asarray(water().coords)[0]
    total = weights @ np.exp(-((coords - center) ** 2).sum(axis=1))
    assert total == pytest.approx(np.pi**1.5, abs=1e-5)
