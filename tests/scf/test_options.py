"""Guesses, convergence aids, linear dependence, what is refused, and programs that are used again."""

from functools import cache
from pathlib import Path

import jax
import numpy as np
import pytest
from pyscf import dft, gto, scf

import jqc
from jqc.errors import ConvergenceError, FunctionalError, InputError, MoleculeError
from jqc.scf import SCFSettings

MOLECULES = Path(__file__).parents[2] / "examples/molecules"

TIGHT = SCFSettings(energy_tolerance=1e-10, residual_tolerance=1e-6)

SAME_SOLUTION = 1e-8
"""Hartree; second order in a residual of 1e-6, which leaves rounding."""

AGAINST_PYSCF = 1e-6
"""Hartree; screening, thresholds and rounding of two codes."""


@cache
def system(name: str = "water", basis: str = "def2-svp", level: int = 1):
    return jqc.build_system(jqc.Molecule.from_xyz(MOLECULES / f"{name}.xyz"), basis, grid_level=level)


@cache
def solution(name: str = "water"):
    return jqc.scf(system(name), "pbe", settings=TIGHT).check()


# --- guesses ---


@pytest.mark.parametrize("name", ["water", "oh"])
@pytest.mark.parametrize("guess", ["minao", "atom", "core"])
def test_every_guess_reaches_the_same_energy(guess, name):
    xc = "pbe0" if name == "oh" else "pbe"
    result = jqc.scf(system(name), xc, guess, settings=TIGHT).check()
    first = jqc.scf(system(name), xc, settings=TIGHT).check()
    tolerance = 5e-6 if name == "oh" else SAME_SOLUTION  # the unpaired electron's orientation to the grid
    assert result.energy == pytest.approx(first.energy, abs=tolerance)


@pytest.mark.parametrize("name", ["water", "oh"])
def test_converged_density_is_recognised(name):
    again = jqc.scf(system(name), "pbe", np.asarray(solution(name).dm), settings=TIGHT).check()
    assert again.iterations <= 3
    assert again.energy == pytest.approx(solution(name).energy, abs=SAME_SOLUTION)


def test_density_of_either_shape_starts_either_calculation():
    dm = np.asarray(solution().dm)
    unrestricted = jqc.scf(system(), "pbe", dm, restricted=False, settings=TIGHT).check()
    assert unrestricted.dm.shape == (2, *dm.shape)
    assert unrestricted.energy == pytest.approx(solution().energy, abs=SAME_SOLUTION)
    back = jqc.scf(system(), "pbe", np.asarray(unrestricted.dm), settings=TIGHT).check()
    assert back.iterations <= 3
    assert unrestricted.spin_square == pytest.approx(0.0, abs=1e-6)


# --- aids ---

AIDS = {
    "level shift": SCFSettings(1e-10, 1e-6, level_shift=0.3),
    "damping": SCFSettings(1e-10, 1e-6, damping=0.3),
    "energy DIIS": SCFSettings(1e-10, 1e-6, energy_diis_above=0.1),
    "few slots": SCFSettings(1e-10, 1e-6, diis_slots=3),
}


@pytest.mark.parametrize("aid", AIDS)
def test_aids_change_the_path_but_not_the_end(aid):
    result = jqc.scf(system(), "pbe", settings=AIDS[aid]).check()
    assert result.energy == pytest.approx(solution().energy, abs=SAME_SOLUTION)
    np.testing.assert_allclose(result.mo_energy, solution().mo_energy, rtol=0, atol=1e-5)


def test_thresholds_are_kept():
    loose = jqc.scf(system(), "pbe", settings=SCFSettings(1e-3, 1e-1)).check()
    assert loose.iterations < solution().iterations
    assert solution().residual < TIGHT.residual_tolerance
    assert abs(solution().energy_change) < TIGHT.energy_tolerance


@pytest.mark.parametrize("name", ["water", "o2"])
def test_smearing_gives_the_free_energy_of_pyscf(name):
    sigma = 0.05
    settings = SCFSettings(1e-10, 1e-6, temperature=sigma)
    result = jqc.scf(system(name), "pbe", settings=settings).check()
    method = scf.addons.smearing_(pyscf_method(example(name), result.aux_basis), sigma, method="fermi", fix_spin=True)
    method.kernel()
    assert result.energy == pytest.approx(method.e_free, abs=AGAINST_PYSCF)
    assert result.energy - result.smearing == pytest.approx(method.e_tot, abs=10 * AGAINST_PYSCF)
    assert result.smearing < 0


def test_smearing_fills_fractions_that_add_up():
    settings = SCFSettings(1e-10, 1e-6, temperature=0.05)
    filled = np.asarray(jqc.scf(system("o2"), "pbe", settings=settings).check().occupations)
    np.testing.assert_allclose(filled.sum(axis=1), [9, 7], atol=1e-9)
    assert ((filled > 1e-3) & (filled < 1 - 1e-3)).any()


def test_cold_smearing_is_aufbau():
    result = jqc.scf(system(), "pbe", settings=SCFSettings(1e-10, 1e-6, temperature=1e-3)).check()
    assert result.energy == pytest.approx(solution().energy, abs=SAME_SOLUTION)


def example(name: str):
    return jqc.Molecule.from_xyz(MOLECULES / f"{name}.xyz")


def pyscf_method(described, aux_basis: str, basis: str = "def2-svp"):
    positions = list(zip(described.symbols, np.asarray(described.coords).tolist(), strict=True))
    mole = gto.M(atom=positions, unit="Bohr", basis=basis, spin=described.spin, verbose=0)
    method = dft.KS(mole, xc="pbe").density_fit(auxbasis=aux_basis)
    method.grids.level = 1
    method.conv_tol, method.conv_tol_grad = 1e-10, 1e-6
    return method


# --- linear dependence ---


@cache
def crowded():
    """Two protons so close that one overlap eigenvalue of a diffuse basis is 3e-7."""
    described = jqc.Molecule.from_arrays(["H", "H"], [[0.0, 0.0, 0.0], [0.0, 0.0, 0.3]], "angstrom")
    return described, jqc.build_system(described, "aug-cc-pvtz", "def2-universal-jkfit", grid_level=1)


def solve_crowded(threshold: float):
    settings = SCFSettings(1e-10, 1e-6, linear_dependence=threshold)
    return jqc.scf(crowded()[1], "pbe", settings=settings).check()


def test_linear_dependencies_are_removed_and_reported():
    result = solve_crowded(1e-6)
    n = int(result.system.n_ao)
    assert result.removed_orbitals == 1
    assert result.mo_coeff.shape == (n, n - 1)
    assert result.mo_energy.max() < 1e5


def test_linear_dependencies_like_pyscf(monkeypatch):
    monkeypatch.setattr(scf.hf, "remove_overlap_zero_eigenvalue", True)
    monkeypatch.setattr(scf.hf, "overlap_zero_eigenvalue_threshold", 1e-6)
    result = solve_crowded(1e-6)
    method = pyscf_method(crowded()[0], result.aux_basis, "aug-cc-pvtz")
    method.kernel()
    assert method.mo_coeff.shape[1] == result.mo_coeff.shape[1]
    assert result.energy == pytest.approx(method.e_tot, abs=AGAINST_PYSCF)


def test_nearly_dependent_orbitals_below_no_threshold_are_kept():
    kept = solve_crowded(1e-8)
    assert kept.removed_orbitals == 0
    assert kept.energy <= solve_crowded(1e-6).energy + AGAINST_PYSCF  # variational


def test_nothing_is_removed_from_a_good_basis():
    assert solution().removed_orbitals == 0


# --- the end of an iteration ---


def test_too_few_iterations_are_reported():
    result = jqc.scf(system(), "pbe", max_iterations=1)
    assert not result.converged
    assert result.iterations == 1
    with pytest.raises(ConvergenceError, match=r"not converged after 1 iterations.*residual [0-9.e+-]+ hartree"):
        result.check()


def test_converged_result_checks_out():
    assert solution().check() is solution()
    assert solution().status.startswith("converged in")


def test_watched_run_is_the_run():
    seen = []
    watched = jqc.scf(system(), "pbe", settings=TIGHT, progress=lambda *row: seen.append(row))
    assert [row[0] for row in seen] == list(range(1, solution().iterations + 1))
    assert watched.energy == pytest.approx(solution().energy, abs=1e-11)
    energies = [row[1] for row in seen]
    np.testing.assert_allclose(np.diff(energies), [row[2] for row in seen[1:]], rtol=0, atol=1e-11)
    assert seen[-1][1:] == (watched.energy, watched.energy_change, watched.residual)
    assert all(row[3] >= TIGHT.residual_tolerance or abs(row[2]) >= TIGHT.energy_tolerance for row in seen[:-1])


def test_error_in_the_watcher_reaches_the_caller():
    def stop(*_):
        raise StopAsyncIteration("enough")

    with pytest.raises(StopAsyncIteration, match="enough"):
        jqc.scf(system(), "pbe", settings=TIGHT, progress=stop)


# --- programs are used again ---


@pytest.fixture
def compilations():
    """Grows by one whenever XLA is asked for a program, from the disk cache or anew."""
    seen = []

    def listen(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            seen.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield seen
    jax.monitoring.unregister_event_duration_listener(listen)


def stretched(by: float):
    water = jqc.Molecule.from_xyz(MOLECULES / "water.xyz")
    return jqc.Molecule.from_arrays(water.numbers, np.asarray(water.coords) * (1 + by))


def energy_of(molecule) -> float:
    return jqc.scf(jqc.build_system(molecule, grid_level=1), "pbe").check().energy


def test_compilations_are_seen(compilations):
    jax.jit(lambda x: x * 17.0 + len(MOLECULES.parts))(np.ones(3))
    assert len(compilations) > 0


def test_second_geometry_compiles_nothing(compilations):
    first = energy_of(stretched(0.0))
    so_far = len(compilations)
    second = energy_of(stretched(0.01))
    assert len(compilations) == so_far
    assert first != second


def test_thresholds_are_arguments_of_the_program(compilations):
    jqc.scf(system(), "pbe", settings=TIGHT)
    so_far = len(compilations)
    jqc.scf(system(), "pbe", settings=SCFSettings(1e-6, 1e-3, level_shift=0.1, damping=0.1), max_iterations=7)
    assert len(compilations) == so_far


# --- what is refused ---


def test_restricted_radical():
    with pytest.raises(MoleculeError, match="1 are unpaired"):
        jqc.scf(system("oh"), "pbe", restricted=True)


def test_unknown_guess():
    with pytest.raises(InputError, match="unknown initial guess 'huckel'; choose minao, atom, core"):
        jqc.scf(system(), "pbe", "huckel")


@pytest.mark.parametrize("shape", [(3, 3), (24,), (3, 24, 24), (1, 24, 24)])
def test_density_of_the_wrong_shape(shape):
    with pytest.raises(InputError, match=r"this system needs \(24, 24\) or \(2, 24, 24\)"):
        jqc.scf(system(), "pbe", np.zeros(shape))


@pytest.mark.parametrize("functional", [None, 3, object(), ["pbe"]])
def test_functional_that_is_none(functional):
    with pytest.raises(FunctionalError, match="pass a name or a"):
        jqc.scf(system(), functional)


def test_unknown_functional():
    with pytest.raises(FunctionalError, match="pbe"):
        jqc.scf(system(), "pbee")


@pytest.mark.parametrize("iterations", [0, -1])
def test_no_iterations(iterations):
    with pytest.raises(InputError, match="at least 1"):
        jqc.scf(system(), "pbe", max_iterations=iterations)
