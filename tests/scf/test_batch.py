"""`scf_batch`: the results of `scf`, in order, whatever the width, lanes and devices; nothing is compiled twice."""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import jax
import numpy as np
import pytest

import jqc
from jqc.errors import InputError
from jqc.process import cores
from jqc.programs import counted
from jqc.scf import SCFSettings

ROOT = Path(__file__).parents[2]

SAME = 1e-10
"""Hartree, with thresholds of the SCF as they are: padding and company change the order of summation alone."""

HYBRID = "0.2*hf + 0.8*slater + vwn5"
"""Compiles in half the time of B3LYP."""


@pytest.fixture(scope="module")
def molecules(water) -> list[jqc.Molecule]:
    """Two sizes, and closed and open shells, all in one class."""
    corners = [[0.0, 0.0, 0.2], [1.77, 0.0, -0.5], [-0.886, 1.53, -0.5], [-0.886, -1.53, -0.5]]
    ammonia = jqc.Molecule.from_arrays(["N", "H", "H", "H"], np.array(corners))
    coords = np.asarray(water.coords)
    wide, cation = jqc.Molecule(water.numbers, coords * 1.1), jqc.Molecule(water.numbers, coords, charge=1, spin=1)
    return [water, ammonia, cation, wide]


@pytest.fixture(scope="module")
def classes(molecules):
    found = jqc.size_classes(molecules, "6-31g", grid_level=0, waste=0.9)
    assert len(found.classes) == 1
    return found


@pytest.fixture(scope="module")
def alone(molecules) -> Callable[[str], list[jqc.SCFResult]]:
    """Results of `scf` with each molecule's own padding."""
    systems = [jqc.build_system(molecule, "6-31g", grid_level=0) for molecule in molecules]
    return cache(lambda xc: [jqc.scf(system, xc).check() for system in systems])


@pytest.fixture
def build(molecules, classes):
    return lambda: jqc.build_systems(molecules, "6-31g", grid_level=0, classes=classes)


@pytest.mark.parametrize(
    ("xc", "options"),
    [
        ("pbe", {"lanes": 1}),
        ("pbe", {"lanes": 3}),
        ("pbe", {"width": 2}),
        pytest.param(HYBRID, {}, marks=pytest.mark.slow),
        pytest.param(HYBRID, {"width": 4}, marks=pytest.mark.slow),
    ],
)
def test_results_are_those_of_scf_and_compile_once(xc, options, build, alone):
    def check(results):
        for ours, theirs in zip(results, alone(xc), strict=True):
            assert ours.converged
            assert ours.energy == pytest.approx(theirs.energy, abs=SAME)
            assert ours.iterations == theirs.iterations
            assert ours.dm.shape == theirs.dm.shape
            np.testing.assert_allclose(ours.dm, theirs.dm, atol=1e-6)
            np.testing.assert_allclose(ours.mo_energy, theirs.mo_energy, atol=1e-6)
            assert ours.features.shape[0] == theirs.features.shape[0]

    check(list(jqc.scf_batch(build(), xc, **options)))
    with counted() as programs:
        check(list(jqc.scf_batch(build(), xc, **options)))
    assert programs.made == 0


def test_new_molecules_of_a_known_class_make_no_program(molecules, classes, build):
    """Formulas that were never solved, with other numbers of orbitals, atoms and electrons."""
    list(jqc.scf_batch(build(), "pbe"))
    new = [
        jqc.Molecule.from_arrays(["F", "H"], [[0.0, 0.0, 0.0], [0.0, 0.0, 1.75]]),
        jqc.Molecule.from_arrays(["O", "H"], [[0.0, 0.0, 0.0], [0.0, 0.0, 1.85]], charge=-1),
    ]
    with counted() as programs:
        systems = jqc.build_systems(new, "6-31g", grid_level=0, classes=classes)
        energies = [result.check().energy for result in jqc.scf_batch(systems, "pbe")]
    assert programs.made == 0
    expected = [jqc.scf(jqc.build_system(each, "6-31g", grid_level=0), "pbe").energy for each in new]
    assert energies == pytest.approx(expected, abs=SAME)


def test_shapes_may_differ_and_results_keep_their_order(molecules):
    """Slots of one shape at a time; systems with lengths of their own."""
    mixed = [molecules[place] for place in (1, 0, 1, 0, 0)]
    systems = lambda: (jqc.build_system(each, "sto-3g", grid_level=0) for each in mixed)  # noqa: E731
    expected = [jqc.scf(system, "slater").energy for system in systems()]
    for width in (1, 2):
        found = [result.energy for result in jqc.scf_batch(systems(), "slater", width=width)]
        assert found == pytest.approx(expected, abs=SAME)


@pytest.mark.parametrize("width", [1, 2])
def test_where_diis_stalls_newton_follows_as_in_scf(width, water, monkeypatch):
    from jqc.scf import problem

    monkeypatch.setattr(problem, "PATIENCE", 1)
    system = jqc.build_system(water, "sto-3g", grid_level=0)
    expected = jqc.scf(system, "slater").check()
    assert expected.residual != pytest.approx(jqc.scf(system, "slater", solver="diis").residual, rel=0.5)
    (found,) = jqc.scf_batch([system], "slater", width=width)
    assert found.check().energy == pytest.approx(expected.energy, abs=SAME)
    assert found.residual == pytest.approx(expected.residual, rel=0.5)


@pytest.mark.parametrize("width", [1, 2])
def test_what_does_not_converge_says_so_and_the_others_do(width, water):
    near, far = (
        jqc.build_system(jqc.Molecule(water.numbers, c * np.asarray(water.coords)), "sto-3g", grid_level=0)
        for c in (1, 2.5)
    )
    need = jqc.scf(near, "slater").iterations
    found = list(jqc.scf_batch([far, near, near], "slater", width=width, max_iterations=need))
    assert [result.converged for result in found] == [False, True, True]


@pytest.mark.parametrize("width", [1, 2])
def test_an_error_comes_in_the_place_of_its_result(width, molecules):
    """Of a system, of what makes the systems, and of a guess; the iterator goes on."""

    def made(place):
        if place == 1:
            raise MemoryError("no room")
        return jqc.build_system(molecules[place], "sto-3g", grid_level=0)

    results = jqc.scf_batch(map(made, (0, 1, 2, 3)), "slater", restricted=True, width=width)
    assert next(results).converged
    with pytest.raises(MemoryError, match="no room"):
        next(results)
    with pytest.raises(InputError, match="paired electrons"):
        next(results)
    assert next(results).converged
    assert next(results, None) is None


@pytest.mark.parametrize("width", [1, 2])
def test_guesses_one_by_one(width, water):
    system = jqc.build_system(water, "sto-3g", grid_level=0)
    solved = jqc.scf(system, "slater")
    found = jqc.scf_batch([system] * 3, "slater", guess=[solved, np.asarray(solved.dm)], width=width)
    assert [next(found).iterations, next(found).iterations] == [jqc.scf(system, "slater", guess=solved).iterations] * 2
    with pytest.raises(InputError, match="more systems than guesses"):
        next(found)


def test_systems_are_taken_as_they_are_needed(water):
    """A batch without an end."""
    system, taken = jqc.build_system(water, "sto-3g", grid_level=0), []

    def forever():
        while True:
            taken.append(system)
            yield system

    for width in (1, 2):
        results = jqc.scf_batch(forever(), "slater", width=width, lanes=2 if width == 1 else None)
        assert all(next(results).converged for _ in range(3))
        assert len(taken) < 15
        taken.clear()
        results = None


def test_settings_are_those_of_scf(water):
    system, settings = jqc.build_system(water, "sto-3g", grid_level=0), SCFSettings(temperature=0.05)
    expected = jqc.scf(system, "slater", settings=settings)
    for width in (1, 2):
        (found,) = jqc.scf_batch([system], "slater", settings=settings, width=width)
        assert found.energy == pytest.approx(expected.energy, abs=SAME)
        assert found.smearing == pytest.approx(expected.smearing, abs=SAME)


def test_bad_input(water):
    for options, words in (
        ({"functional": "b3lip"}, "b3lip"),
        ({"width": 0}, "width 0"),
        ({"lanes": 0}, "0 lanes"),
        ({"lanes": 2, "width": 2}, "2 lanes"),
        ({"max_iterations": 0}, "max_iterations"),
    ):
        with pytest.raises(InputError, match=words):
            jqc.scf_batch([], **options)
    assert list(jqc.scf_batch([])) == []
    assert cores() >= 1


DEVICES = """
import jax
jax.config.update("jax_enable_x64", True)
import numpy as np
import jqc
water = jqc.Molecule.from_xyz("examples/molecules/water.xyz")
coords = np.asarray(water.coords)
cation = jqc.Molecule(water.numbers, coords, charge=1, spin=1)
molecules = [*(jqc.Molecule(water.numbers, coords * (1 + 0.02 * k)) for k in range(6)), cation]
systems = list(jqc.build_systems(molecules, "sto-3g", grid_level=0))
mesh = jax.make_mesh((4,), ("slot",), axis_types=(jax.sharding.AxisType.Auto,))
expected = [jqc.scf(system, "slater").check() for system in systems]
for width in (1, 2):
    found = list(jqc.scf_batch(systems, "slater", width=width, mesh=mesh))
    assert [each.iterations for each in found] == [each.iterations for each in expected]
    differences = [each.check().energy - other.energy for each, other in zip(found, expected)]
    assert np.max(np.abs(differences)) < 1e-10
    assert {str(each.dm.sharding) for each in found} == {str(each.dm.sharding) for each in expected}
print("devices", jax.device_count())
"""


def test_slots_over_four_devices():
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    done = subprocess.run(
        [sys.executable, "-c", DEVICES],
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["devices", "4"]


def test_one_device_of_a_mesh_is_the_device(water):
    system = jqc.build_system(water, "sto-3g", grid_level=0)
    mesh = jax.sharding.Mesh(jax.devices()[:1], "any")
    (found,) = jqc.scf_batch([system], "slater", mesh=mesh)
    assert found.energy == pytest.approx(jqc.scf(system, "slater").energy, abs=SAME)
