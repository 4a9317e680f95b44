"""The SCF on two quadratures: the finer one's energies and densities, however rough the other one is."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

import jqc
from jqc.errors import ConvergenceError
from jqc.programs import counted
from jqc.scf import SCFSettings
from jqc.scf import coarse as two
from jqc.scf.kernel import reference
from jqc.system import Molecule, build_system, build_systems
from jqc.system import coarse as quadratures
from jqc.system.keep import granted, kept_bytes
from jqc.xc.registry import as_functional

SAME = 1e-10
"""Hartree between both ways to one minimum, with thresholds that are `TIGHT`."""

TIGHT = SCFSettings(energy_tolerance=1e-11, residual_tolerance=1e-6)

LEVEL = 2

HYBRID = "0.2*hf + 0.8*slater + vwn5"


@pytest.fixture(autouse=True)
def always(monkeypatch):
    """Molecules too small for it have a rougher quadrature too."""
    for user in ("jqc.system.coarse.pays", "jqc.system.classes.pays"):
        monkeypatch.setattr(user, lambda *_: True)


def plain(system):
    return replace(system, coarse=())


@pytest.fixture
def cation(water):
    return Molecule(water.numbers, np.asarray(water.coords), charge=1, spin=1)


def compare(system, xc="pbe", settings=TIGHT):
    """Results on both quadratures and on the finer one alone."""
    ours, theirs = (jqc.scf(each, xc, settings=settings) for each in (system, plain(system)))
    assert ours.converged
    assert theirs.converged
    assert ours.energy == pytest.approx(theirs.energy, abs=SAME)
    np.testing.assert_allclose(ours.dm, theirs.dm, atol=1e-5)
    np.testing.assert_allclose(ours.mo_energy, theirs.mo_energy, atol=1e-5)
    np.testing.assert_allclose(ours.features, theirs.features, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("xc", "aids"),
    [
        ("pbe", {}),
        (HYBRID, {}),
        pytest.param("r2scan", {}, marks=pytest.mark.slow),
        pytest.param("pbe", {"temperature": 0.02}, marks=pytest.mark.slow),
        pytest.param("pbe", {"level_shift": 0.2, "damping": 0.3}, marks=pytest.mark.slow),
    ],
)
def test_results_are_those_of_the_finer_quadrature(water, xc, aids):
    compare(build_system(water, "6-31g", grid_level=LEVEL), xc, replace(TIGHT, **aids))


def test_open_shells_are_corrected_spin_by_spin(cation):
    system = build_system(cation, "6-31g", grid_level=LEVEL)
    compare(system)


@pytest.mark.slow
def test_single_precision_ends_where_it_does_without(water):
    system = build_system(water, "6-31g", grid_level=LEVEL, precision="single")
    energies = [jqc.scf(each, "pbe").check().energy for each in (system, plain(system))]
    assert energies[0] == pytest.approx(energies[1], abs=1e-9)


@pytest.mark.parametrize("cycles", [0, 1])
def test_the_finer_quadrature_goes_on_where_corrections_do_not_suffice(water, monkeypatch, cycles):
    monkeypatch.setattr(two, "CYCLES", cycles)
    system = build_system(water, "6-31g", grid_level=LEVEL)
    compare(system)


def test_the_worst_of_quadratures_spoils_nothing(water, monkeypatch):
    monkeypatch.setattr(quadratures, "COARSE", ((4, 6), (4, 6)))
    system = build_system(water, "6-31g", grid_level=LEVEL)
    compare(system)


def test_energy_and_slope_are_those_of_the_finer_quadrature_where_it_was_asked(cation):
    """And both are changed by nothing but a straight line, so that its curvature is the rougher one's."""
    functional = as_functional(HYBRID)
    system = build_system(cation, "6-31g", grid_level=LEVEL)
    dm = jqc.scf(plain(system), "hf").dm
    rough = two.rougher(system, dm)
    fine, held = (reference(functional, each, dm) for each in (system, rough))
    corrected = two.tilted(rough, dm, fine.energy - held.energy, fine.fock - held.fock)
    there = reference(functional, corrected, dm)
    assert abs(fine.energy - held.energy) > 1e-6
    assert there.energy == pytest.approx(fine.energy, abs=1e-11)
    np.testing.assert_allclose(there.fock, fine.fock, atol=1e-12)
    moved = dm + 0.01 * jnp.eye(dm.shape[-1])
    change = [reference(functional, each, at).fock for each in (corrected, rough) for at in (moved, dm)]
    np.testing.assert_allclose(change[0] - change[1], change[2] - change[3], atol=1e-12)


def test_an_scf_out_of_iterations_says_so(water):
    system = build_system(water, "6-31g", grid_level=LEVEL)
    for limit in (2, 7):
        result = jqc.scf(system, "pbe", max_iterations=limit)
        assert (result.converged, result.iterations) == (False, limit)
        with pytest.raises(ConvergenceError, match=f"{limit} iterations"):
            result.check()


def test_every_iteration_is_told_once(water):
    told = []
    result = jqc.scf(build_system(water, "6-31g", grid_level=LEVEL), "pbe", progress=lambda n, *_: told.append(n))
    assert told == list(range(1, result.iterations + 1))


def test_a_density_at_hand_needs_no_rougher_quadrature(water):
    """It is near the minimum, where the finer one needs few iterations."""
    system = build_system(water, "6-31g", grid_level=LEVEL)
    first = jqc.scf(system, "pbe")
    again = jqc.scf(system, "pbe", guess=first)
    assert again.iterations <= 2
    assert again.energy == pytest.approx(first.energy, abs=SAME)


def test_batches_compile_a_class_once(water):
    """In lanes, and in slots, where there is one quadrature alone."""
    coords = np.asarray(water.coords)
    molecules = [Molecule(water.numbers, coords * scale) for scale in (1.0, 1.03, 0.98, 1.05)]
    classes = jqc.size_classes(molecules, "6-31g", grid_level=LEVEL)
    build = lambda members: build_systems(members, "6-31g", grid_level=LEVEL, classes=classes)  # noqa: E731
    assert all(each.lengths.coarse for each in classes.classes)
    first, *_ = jqc.scf_batch(build(molecules[:2]), "pbe")
    with counted() as programs:
        others = [result.energy for result in jqc.scf_batch(build(molecules[2:]), "pbe")]
    assert programs.made == 0
    assert first.energy == pytest.approx(jqc.scf(build_system(water, "6-31g", grid_level=LEVEL)).energy, abs=SAME)
    slots = [result.energy for result in jqc.scf_batch(build(molecules[2:]), "pbe", width=2)]
    np.testing.assert_allclose(slots, others, atol=SAME)


def test_kept_orbitals_of_both_stay_within_the_budget(water):
    system = build_system(water, "6-31g", grid_level=LEVEL)
    dm = system.overlap[None]
    rough = two.rougher(system, dm)
    assert 0 < kept_bytes(rough) == granted(rough) < kept_bytes(plain(system)) / 3
    little = two.rougher(system, dm, budget=kept_bytes(rough) // 2)
    assert granted(little) <= kept_bytes(rough) // 2
    compare(replace(system, orbital_bytes=0))
