"""Potentials: one contract for all, and each against what it stands for."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jqc
from jqc.md import CSVR, NVE, JaxMD, Learned, LennardJones, Metadynamics, begin, joined, simulate
from jqc.md.neighbours import allocate
from jqc.md.potential import evaluate
from jqc.md.potentials.calculator import Calculated
from jqc.md.potentials.kohn_sham import KohnSham
from jqc.md.variables import Angle, Dihedral, Distance
from jqc.units import ANGSTROM, ELECTRONVOLT


def smooth(parameters, positions, cell, neighbours):
    """A sum over neighbours that is no pair potential: the square root of a density."""
    n = len(positions)
    others = jnp.minimum(neighbours.index, n - 1)
    apart = positions[others] - positions[:, None]
    if cell is not None:
        apart = apart - jnp.round(apart / cell) * cell
    squared = jnp.where(neighbours.index < n, jnp.sum(apart**2, axis=-1), 100.0)
    near = jnp.where(squared < 4.0, (1 - jnp.minimum(squared, 4.0) / 4) ** 3, 0.0)
    return parameters * jnp.sum(jnp.sqrt(1.0 + near.sum(axis=1)))


def morse_like():
    from jax_md import energy, space

    displacement, _ = space.periodic(6.0)
    _, energy_fn = energy.morse_neighbor_list(displacement, 6.0, alpha=3.0, r_onset=1.5, r_cutoff=2.0)
    return JaxMD(energy_fn, cutoff=2.0)


POTENTIALS = {
    "lennard-jones": lambda: LennardJones(jnp.asarray(1.3), jnp.asarray(0.9), cutoff=2.0),
    "learned": lambda: Learned(smooth, jnp.asarray(-1.0), cutoff=2.0),
    "jax-md": morse_like,
}


@pytest.fixture(scope="module", params=POTENTIALS)
def potential(request):
    return POTENTIALS[request.param]()


@pytest.fixture(scope="module")
def places(lattice):
    positions, cell = lattice(5, 125 / 216)
    assert cell == pytest.approx(np.full(3, 6.0))
    return jnp.asarray(positions), jnp.asarray(cell)


def at(potential, positions, cell):
    return evaluate(potential, positions, cell, allocate(positions, cell, potential.cutoff, 0.2))


def test_forces_are_slopes(potential, places):
    positions, cell = places
    found = at(potential, positions, cell)
    along = np.random.default_rng(0).normal(size=positions.shape)
    h = 1e-4
    ahead, behind = (float(at(potential, positions + sign * h * along, cell).energy) for sign in (1, -1))
    assert float(jnp.sum(found.forces * along)) == pytest.approx(-(ahead - behind) / (2 * h), rel=1e-5)


def test_energies_know_neither_order_nor_place(potential, places):
    positions, cell = places
    found = at(potential, positions, cell)
    order = np.random.default_rng(0).permutation(len(positions))
    other = at(potential, positions[order] + jnp.array([0.3, 40.0, -7.0]), cell)
    assert float(other.energy) == pytest.approx(float(found.energy), rel=1e-12)
    np.testing.assert_allclose(other.forces, found.forces[order], atol=1e-9)
    np.testing.assert_allclose(found.forces.sum(axis=0), 0.0, atol=1e-10)


def test_compiled_and_not_are_the_same(potential, places):
    positions, cell = places
    neighbours = allocate(positions, cell, potential.cutoff, 0.2)
    found = jax.jit(lambda p, r: evaluate(p, r, cell, neighbours))(potential, positions)
    assert float(found.energy) == pytest.approx(float(at(potential, positions, cell).energy), rel=1e-12)


def test_slopes_by_parameters_are_finite(places):
    """Those of jax-md's own Lennard-Jones by σ are no numbers."""
    positions, cell = places
    potential = POTENTIALS["lennard-jones"]()
    of = lambda sigma: at(replace(potential, sigma=sigma), positions, cell).energy  # noqa: E731
    slope = float(jax.grad(of)(jnp.asarray(0.9)))
    assert slope == pytest.approx((float(of(0.9 + 1e-5)) - float(of(0.9 - 1e-5))) / 2e-5, rel=1e-6)


def test_jax_md_has_the_same_energy(places):
    from jax_md import energy, space

    positions, cell = places
    displacement, _ = space.periodic(np.asarray(cell))
    theirs = energy.morse_pair(displacement, alpha=3.0, r_onset=1.5, r_cutoff=2.0)
    assert float(at(morse_like(), positions, cell).energy) == pytest.approx(float(theirs(positions)), rel=1e-10)


def test_lennard_jones_is_that_of_ase(places):
    from ase import Atoms
    from ase.calculators.lj import LennardJones as Theirs

    positions, cell = places
    atoms = Atoms("Ar125", np.asarray(positions) * ANGSTROM, cell=np.asarray(cell) * ANGSTROM, pbc=True)
    atoms.calc = Theirs(sigma=0.9 * ANGSTROM, epsilon=1.3 * ELECTRONVOLT, rc=2.9 * ANGSTROM, ro=1.0, smooth=False)
    ours = Calculated(atoms)
    found, _ = ours.evaluate_on_host(np.asarray(positions), np.asarray(cell), None, recorded=True)
    bare = LennardJones(1.3, 0.9, cutoff=2.9, onset=2.9 - 1e-9)
    expected = evaluate(bare, positions, cell, None)
    pairs = 0.5 * np.sum(np.linalg.norm(_apart(positions, cell), axis=-1) < 2.9)
    shift = pairs * float(bare.pair(jnp.asarray(2.9 - 1e-8) ** 2 * 0 + (2.9 - 2e-9) ** 2))
    assert float(found.energy) == pytest.approx(float(expected.energy) - shift, rel=1e-6)
    np.testing.assert_allclose(found.forces, expected.forces, atol=1e-6)
    assert float(found.virial) == pytest.approx(float(expected.virial), rel=1e-6)


def _apart(positions, cell):
    apart = np.asarray(positions)[None] - np.asarray(positions)[:, None]
    apart -= np.round(apart / np.asarray(cell)) * np.asarray(cell)
    apart[np.eye(len(apart), dtype=bool)] = 99.0
    return apart


# --- potentials of the host ---


@pytest.fixture(scope="module")
def moving_water(water):
    potential = KohnSham.of(water, jqc.functional("slater"), basis="sto-3g", grid_level=3)
    masses = np.array([15.995, 1.008, 1.008]) * 1822.888486
    state = begin(potential, NVE(), np.asarray(water.coords), masses, temperature=300 / 315775.0)
    return potential, state


def test_water_conserves_energy_and_records_its_dipole(moving_water):
    potential, state = moving_water
    ((_, frames),) = simulate(potential, NVE(), state, 10.0, 40, stride=4)
    assert np.ptp(frames.conserved) < 0.02 * frames.kinetic.mean()
    assert frames.properties["dipole"].shape == (10, 3)
    assert np.ptp(frames.energy) > 1e-6


def test_water_goes_on_as_if_never_stopped(moving_water, tmp_path):
    from jqc.md.restart import load, save

    potential, state = moving_water
    ((last, frames),) = simulate(potential, NVE(), state, 10.0, 12, stride=2)
    ((half, begun),) = simulate(potential, NVE(), state, 10.0, 6, stride=2)
    save(tmp_path / "state.npz", half)
    ((again, rest),) = simulate(potential, NVE(), load(tmp_path / "state.npz", state), 10.0, 12, stride=2)
    np.testing.assert_array_equal(joined([begun, rest]).positions, frames.positions)
    np.testing.assert_array_equal(again.momenta, last.momenta)


def test_the_same_dynamics_through_ase(moving_water, water):
    from ase import Atoms

    from jqc.ase import JQC

    potential, state = moving_water
    atoms = Atoms(numbers=np.asarray(water.numbers), positions=np.asarray(water.coords) * ANGSTROM)
    atoms.calc = JQC(xc="slater", basis="sto-3g", grid_level=3, settings=potential.settings, moving_grid=True)
    other = begin(Calculated(atoms), NVE(), state.positions, state.masses, momenta=state.momenta)
    ((_, ours),) = simulate(potential, NVE(), state, 10.0, 6, stride=2)
    ((_, theirs),) = simulate(Calculated(atoms), NVE(), other, 10.0, 6, stride=2)
    np.testing.assert_allclose(theirs.positions, ours.positions, atol=1e-9)
    np.testing.assert_allclose(theirs.properties["dipole"], ours.properties["dipole"], atol=1e-6)


# --- bias ---


def test_variables():
    positions = jnp.array([[1.0, 0, 0], [0, 0, 0], [0, 2.0, 0], [0, 2.0, 3.0]])
    assert float(Distance(0, 2)(positions)) == pytest.approx(np.sqrt(5))
    assert float(Angle(0, 1, 2)(positions)) == pytest.approx(np.pi / 2)
    assert abs(float(Dihedral(0, 1, 2, 3)(positions))) == pytest.approx(np.pi / 2)
    straight = jnp.array([[0.0, 0, 0], [0, 0, 1], [0, 0, 2]])
    assert bool(jnp.isfinite(jax.grad(Angle(0, 1, 2))(straight)).all())
    from ase import Atoms

    random = np.random.default_rng(0).normal(size=(4, 3))
    expected = (Atoms("H4", random).get_dihedral(0, 1, 2, 3) + 180) % 360 - 180
    assert float(Dihedral(0, 1, 2, 3)(jnp.asarray(random))) == pytest.approx(np.radians(expected))


def test_metadynamics_finds_a_double_well():
    """F(r) = 5 kT ((r − 3)² − 1)² of two atoms that do not turn about each other."""
    tall = lambda h, r, cell, neighbours: h * ((jnp.linalg.norm(r[1] - r[0]) - 3.0) ** 2 - 1) ** 2  # noqa: E731
    potential = Learned(tall, jnp.asarray(5.0))
    ensemble = Metadynamics(CSVR(1.0, 0.2), (Distance(0, 1),), (0.15,), 0.3, 8.0, 1.0, 50, 4000)
    state = begin(potential, ensemble, np.array([[0, 0, 0], [0, 0, 2.0]]), np.ones(2), temperature=1.0)
    parts = list(simulate(potential, ensemble, state, 0.02, 200000, stride=50))
    s = np.linspace(1.8, 4.2, 25)[:, None]
    found = np.asarray(ensemble.free_energy(s, parts[-1][0].extra))
    expected = 5 * ((s[:, 0] - 3) ** 2 - 1) ** 2
    assert np.abs((found - found.mean()) - (expected - expected.mean())).max() < 0.5
    frames = joined([frames for _, frames in parts])
    assert np.ptp(frames.conserved) < 0.05 * float(parts[-1][0].extra.heights.sum())
