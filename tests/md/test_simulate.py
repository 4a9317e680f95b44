"""Simulations: chunks, limits, restarts, and files that hold what was simulated."""

from dataclasses import replace

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jqc.errors import InputError, SimulationError, StoreError
from jqc.md import CSVR, NVE, Langevin, LennardJones, Limits, Metadynamics, NoseHoover, begin, joined, simulate
from jqc.md.convert import convert
from jqc.md.restart import load, save
from jqc.md.trajectory import Subject, append, create, cut, read
from jqc.md.variables import Distance
from jqc.units import FEMTOSECOND

ENSEMBLES = {
    "nve": NVE(),
    "langevin": Langevin(1.2, 1.0),
    "nose-hoover": NoseHoover(1.2, 0.2),
    "metadynamics": Metadynamics(CSVR(1.2, 0.2), (Distance(0, 1),), (0.1,), 0.1, 5.0, 1.2, 10, 20),
}


def frames_of(potential, ensemble, state, steps, **options):
    parts = list(simulate(potential, ensemble, state, 0.002, steps, stride=10, **options))
    return parts[-1][0], joined([frames for _, frames in parts])


def assert_equal(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(np.asarray(_plain(a)), np.asarray(_plain(b)))


def _plain(leaf):
    return jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


@pytest.mark.parametrize("name", ENSEMBLES)
def test_a_simulation_that_goes_on_equals_one_that_was_never_stopped(name, argon, fluid, tmp_path):
    ensemble = ENSEMBLES[name]
    first = ensemble.start(fluid)
    last, whole = frames_of(argon, ensemble, first, 200, chunk=5)
    half, begun = frames_of(argon, ensemble, first, 100, chunk=5)
    save(tmp_path / "state.npz", half)
    again, rest = frames_of(argon, ensemble, load(tmp_path / "state.npz", first), 200, chunk=5)
    assert_equal(joined([begun, rest]), whole)
    assert_equal(again, last)


def test_lists_that_become_too_short_change_nothing(lattice):
    """A gas that comes together: every list is too short after a while."""
    positions, cell = lattice(4, 0.02)
    deep = LennardJones(10.0, 1.0, cutoff=3.0)
    state = begin(deep, Langevin(0.5, 0.1), positions, np.ones(64), temperature=0.5, cell=cell, skin=0.3)
    state = replace(state, momenta=-1.5 * (state.positions - 0.5 * cell))
    first = state.neighbours.index.shape
    last, frames = frames_of(deep, NVE(), NVE().start(state), 400, chunk=20)
    assert last.neighbours.index.shape[1] > first[1]
    assert np.ptp(frames.conserved) < 0.02 * frames.kinetic.mean()


def test_what_explodes_says_so_and_keeps_what_came_before(argon, fluid):
    seen = []
    hot = replace(fluid, momenta=30 * fluid.momenta)
    running = simulate(argon, NVE(), hot, 0.05, 400, stride=1, limits=Limits(hottest=1e5))
    with pytest.raises(SimulationError, match=r"went wrong by step .* shorter than 0\.05"):
        seen.extend(frames for _, frames in running)
    assert all(np.isfinite(frames.conserved).all() and (frames.temperature < 1e5).all() for frames in seen)


def test_limits_tell_what_is_beyond_them(argon, fluid):
    for limits, words in (
        (Limits(hottest=0.5), "temperature is .* beyond 0 to 0.5"),
        (Limits(coldest=5.0), "beyond 5"),
        (Limits(bonds=[(0, 1)], lengths=[9.0], stretch=0.5), "distance of atoms 0 and 1"),
    ):
        with pytest.raises(SimulationError, match=words):
            list(simulate(argon, NVE(), fluid, 0.002, 20, limits=limits))
    fine = Limits(bonds=[(0, 1)], lengths=[1.26], stretch=3.0)
    assert len(list(simulate(argon, NVE(), fluid, 0.002, 20, limits=fine))) == 1


def test_bad_input(argon, fluid, tmp_path):
    for dt, steps, options in ((0.0, 10, {}), (np.nan, 10, {}), (0.1, 15, {}), (0.1, 10, {"stride": 0})):
        with pytest.raises(InputError):
            list(simulate(argon, NVE(), fluid, dt, steps, **options))
    with pytest.raises(InputError, match="no number"):
        list(simulate(argon, NVE(), replace(fluid, forces=jnp.nan * fluid.forces), 0.1, 10))
    good = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.2]])
    for positions, masses, options in (
        (good[0], np.ones(2), {}),
        (good, np.ones(3), {}),
        (good, np.array([1.0, 0.0]), {}),
        (good * np.nan, np.ones(2), {}),
        (good, np.ones(2), {"momenta": np.zeros(3)}),
        (good, np.ones(2), {"temperature": -1.0}),
        (good, np.ones(2), {"cell": np.ones(2)}),
        (good, np.ones(2), {"cell": np.ones(3)}),
    ):
        with pytest.raises(InputError):
            begin(argon, NVE(), positions, masses, **options)
    with pytest.raises(InputError):
        Limits(coldest=2.0, hottest=1.0)
    with pytest.raises(InputError):
        Limits(bonds=[(0, 1)])


def test_restart_files_of_something_else_are_refused(argon, fluid, tmp_path):
    path = tmp_path / "state.npz"
    with pytest.raises(StoreError, match="no such file"):
        load(path, fluid)
    save(path, fluid)
    with pytest.raises(InputError, match="another simulation"):
        load(path, NoseHoover(1.2, 0.2).start(fluid))
    fewer = begin(argon, NVE(), fluid.positions[:64], fluid.masses[:64], cell=fluid.cell, skin=0.3)
    with pytest.raises(InputError, match="another simulation"):
        load(path, fewer)
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"nothing"):
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match="damaged"):
            load(path, fluid)


@pytest.fixture(scope="module")
def some(argon, fluid):
    return frames_of(argon, NVE(), fluid, 200, chunk=5)[1]


def part(frames, start, stop):
    return jax.tree.map(lambda each: each[start:stop], frames)


def test_trajectories_grow_and_are_read_again(some, fluid, tmp_path):
    path, subject = tmp_path / "run", Subject(np.full(125, 18), np.asarray(fluid.masses), 0.002)
    create(path, subject)
    for start in range(0, 20, 5):
        append(path, part(some, start, start + 5))
    found = read(path)
    assert_equal(found.frames, some)
    assert found.interval == pytest.approx(0.02)
    np.testing.assert_array_equal(found.subject.numbers, subject.numbers)
    cut(path, 100)
    assert read(path).frames.step.tolist() == list(range(10, 110, 10))
    append(path, part(some, 10, 20))
    assert_equal(read(path).frames, some)
    with pytest.raises(InputError, match="holds a trajectory"):
        create(path, subject)


def test_a_write_that_was_interrupted_loses_nothing_before(some, fluid, tmp_path):
    path = tmp_path / "run"
    create(path, Subject(np.full(125, 18), np.asarray(fluid.masses), 0.002))
    append(path, part(some, 0, 5))
    (path / ".jqc-0.tmp").write_bytes(b"half")
    assert_equal(read(path).frames, part(some, 0, 5))
    cut(path, 30)
    assert_equal(read(path).frames, part(some, 0, 3))
    append(path, part(some, 3, 20))
    assert_equal(read(path).frames, some)


def test_damaged_trajectories_are_refused(some, fluid, tmp_path):
    path = tmp_path / "run"
    with pytest.raises(StoreError, match="no trajectory"):
        read(path)
    create(path, Subject(np.full(125, 18), np.asarray(fluid.masses), 0.002))
    with pytest.raises(StoreError, match="without frames"):
        read(path)
    append(path, part(some, 0, 5))
    append(path, part(some, 5, 20))
    chunk = sorted(path.glob("frames-*"))[0]
    content = chunk.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"nothing", content[:2000] + b"!" + content[2001:]):
        chunk.write_bytes(damaged)
        with pytest.raises(StoreError, match="damaged"):
            read(path)
    chunk.write_bytes(content)
    other = read(path)
    append(path, jax.tree.map(lambda each: each[:, :3] if each.ndim > 2 else each + 300, part(some, 0, 5)))
    with pytest.raises(StoreError, match="different things"):
        read(path)
    assert len(other.frames.step) == 20


@pytest.mark.parametrize("suffix", [".xyz", ".h5", ".dcd", ".xtc"])
def test_other_programs_read_what_was_written(suffix, some, fluid, tmp_path):
    path, out = tmp_path / "run", tmp_path / f"run{suffix}"
    create(path, Subject(np.full(125, 18), np.asarray(fluid.masses), 0.002))
    append(path, some)
    found = read(path)
    if suffix == ".xyz":
        from ase.io import read as read_images

        convert(found, out)
        positions = np.stack([atoms.positions for atoms in read_images(out, ":")])
        tolerance = 1e-7
    elif suffix == ".h5":
        convert(found, out)
        with h5py.File(out) as file:
            positions = file["particles/all/position/value"][:]
            np.testing.assert_allclose(
                file["particles/all/position/time"][:], np.asarray(some.step) * 0.002 * FEMTOSECOND
            )
        tolerance = 1e-12
    else:
        mda = pytest.importorskip("MDAnalysis")
        convert(found, out)
        universe = mda.Universe.empty(125, trajectory=True)
        universe.load_new(str(out))
        positions = np.stack([frame.positions.copy() for frame in universe.trajectory])
        tolerance = 0.01 if suffix == ".xtc" else 1e-5
    np.testing.assert_allclose(positions, np.asarray(some.positions) * 0.529177210544, atol=tolerance)
    with pytest.raises(InputError, match="suffix"):
        convert(found, tmp_path / "run.pdf")
