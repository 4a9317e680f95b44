"""Nearest images, cells, and lists of neighbours against all pairs."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jqc.errors import InputError
from jqc.md.neighbours import allocate, outrun, updated, with_more_room
from jqc.md.space import cartesian, fractional, nearest, require_room, volume, widths, wrapped

SKEW = np.array([[16.0, 0.0, 0.0], [1.5, 15.0, 0.0], [-1.0, 0.8, 17.0]])
CELLS = {"free": None, "right": np.array([16.0, 15.0, 17.0]), "skew": SKEW}
cells = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())


def all_near(positions, cell, reach):
    """Pairs within reach, from all images around."""
    apart = positions[None] - positions[:, None]
    images = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    edges = np.zeros((3, 3)) if cell is None else np.diag(cell) if np.ndim(cell) == 1 else cell
    shortest = np.linalg.norm(apart[..., None, :] + images @ edges, axis=-1).min(axis=-1)
    np.fill_diagonal(shortest, np.inf)
    return [set(np.flatnonzero(row < reach).tolist()) for row in shortest]


def listed(neighbours):
    n = len(neighbours.index)
    return [set(row[row < n].tolist()) for row in np.asarray(neighbours.index)]


@cells
def test_displacements_are_the_shortest(cell):
    if cell is None:
        assert nearest(jnp.ones(3), None).tolist() == [1, 1, 1]
        return
    edges = np.diag(cell) if np.ndim(cell) == 1 else cell
    apart = np.random.default_rng(0).uniform(-40, 40, (200, 3))
    images = np.stack(np.meshgrid(*[np.arange(-4, 5)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    shortest = np.linalg.norm(apart[:, None] + images @ edges, axis=-1).min(axis=1)
    found = np.linalg.norm(np.asarray(nearest(jnp.asarray(apart), jnp.asarray(cell))), axis=-1)
    within = shortest < 0.5 * widths(cell).min()
    assert within.sum() > 20
    np.testing.assert_allclose(found[within], shortest[within], rtol=1e-12)


@pytest.mark.parametrize("name", ["right", "skew"])
def test_fractions_volumes_and_images(name):
    cell = jnp.asarray(CELLS[name])
    positions = jnp.asarray(np.random.default_rng(1).uniform(-50, 50, (20, 3)))
    np.testing.assert_allclose(cartesian(fractional(positions, cell), cell), positions, rtol=1e-12)
    inside = fractional(wrapped(positions, cell), cell)
    assert bool(((inside >= -1e-12) & (inside <= 1 + 1e-12)).all())
    full = np.diag(CELLS[name]) if CELLS[name].ndim == 1 else CELLS[name]
    assert float(volume(cell)) == pytest.approx(abs(np.linalg.det(full)))
    assert widths(CELLS[name]).min() <= np.linalg.norm(full, axis=1).min() + 1e-12


@cells
@pytest.mark.parametrize("n", [1, 2, 300])
def test_lists_hold_all_neighbours(cell, n):
    positions = np.random.default_rng(n).uniform(-5, 25, (n, 3))
    neighbours = allocate(jnp.asarray(positions), None if cell is None else jnp.asarray(cell), 2.5, 0.5)
    assert not bool(neighbours.crowded)
    assert listed(neighbours) == all_near(positions, cell, 3.0)


@cells
def test_lists_follow_atoms_that_move(cell):
    random = np.random.default_rng(0)
    positions = random.uniform(0, 16, (300, 3))
    box = None if cell is None else jnp.asarray(cell)
    neighbours = allocate(jnp.asarray(positions), box, 2.0, 0.6, room=2.0)
    update = jax.jit(updated)
    for _ in range(8):
        positions = positions + random.normal(0, 0.2, positions.shape)
        neighbours = update(neighbours, jnp.asarray(positions), box)
        assert not bool(neighbours.crowded)
        assert not bool(outrun(neighbours, jnp.asarray(positions), box))
        for found, expected in zip(listed(neighbours), all_near(positions, cell, 2.0), strict=True):
            assert expected <= found


def test_lists_are_kept_while_nobody_has_outrun_them():
    positions = jnp.asarray(np.random.default_rng(0).uniform(0, 16, (50, 3)))
    neighbours = allocate(positions, jnp.full(3, 16.0), 2.0, 1.0)
    assert updated(neighbours, positions + 0.28, jnp.full(3, 16.0)).reference is not None
    near = updated(neighbours, positions + 0.28, jnp.full(3, 16.0))
    far = updated(neighbours, positions + 0.30, jnp.full(3, 16.0))
    assert np.array_equal(near.reference, positions)
    assert not np.array_equal(far.reference, positions)


def test_a_cell_that_shrinks_makes_a_list_anew_in_time():
    random = np.random.default_rng(0)
    cell = jnp.full(3, 16.0)
    positions = jnp.asarray(random.uniform(0, 16, (300, 3)))
    neighbours = allocate(positions, cell, 2.0, 0.6, room=2.0)
    update = jax.jit(updated)
    for scale in np.linspace(1, 0.8, 7):
        neighbours = update(neighbours, scale * positions, scale * cell)
        near = all_near(scale * np.asarray(positions), scale * np.asarray(cell), 2.0)
        assert all(expected <= found for found, expected in zip(listed(neighbours), near, strict=True))


@cells
def test_a_list_that_is_too_short_says_so_and_grows(cell):
    random = np.random.default_rng(0)
    spread, box = random.uniform(0, 16, (300, 3)), None if cell is None else jnp.asarray(cell)
    neighbours = allocate(jnp.asarray(spread), box, 2.0, 0.5)
    dense, update = 0.75 * spread, jax.jit(updated)
    found = update(neighbours, jnp.asarray(dense), box)
    assert bool(found.crowded)
    for _ in range(20):
        neighbours = with_more_room(neighbours, jnp.asarray(spread), box)
        found = update(neighbours, jnp.asarray(dense), box)
        if not bool(found.crowded):
            break
    assert listed(found) == all_near(dense, cell, 2.5)


def test_bad_input():
    with pytest.raises(InputError, match="less than twice the cutoff"):
        allocate(jnp.zeros((3, 3)), jnp.full(3, 4.0), 2.0, 0.5)
    with pytest.raises(InputError, match="larger box"):
        require_room(jnp.asarray(SKEW), 8.0)
    for cutoff, skin in ((0.0, 1.0), (-1.0, 1.0), (np.inf, 1.0), (1.0, -0.1), (np.nan, 1.0)):
        with pytest.raises(InputError, match="make no list"):
            allocate(jnp.zeros((3, 3)), None, cutoff, skin)
    with pytest.raises(InputError, match="not finite"):
        allocate(jnp.full((3, 3), jnp.nan), None, 1.0, 0.1)


def test_reference_is_what_it_says():
    positions = jnp.asarray(np.random.default_rng(0).uniform(0, 16, (50, 3)))
    neighbours = allocate(positions, None, 2.0, 1.0)
    assert neighbours.reach == 3.0
    assert bool(updated(replace(neighbours, crowded=jnp.ones((), bool)), positions + 9, None).crowded)
