"""E[P] as a differentiable function: Fock matrix, orbital Hessian, and what an energy must obey."""

from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pyscf import dft, gto

import jqc
from jqc.errors import FunctionalError
from jqc.scf.energy import energy_parts
from jqc.scf.guess import initial_dm
from jqc.system import with_range
from jqc.xc.registry import functional

MOLECULES = Path(__file__).parents[2] / "examples/molecules"

FOCK_ERROR = 1e-9
"""Hartree. Orbitals below 1e-8 are screened, and PySCF drops densities below its own thresholds."""

STEP = 1e-3
DIFFERENCE = 1e-7
"""Relative. Fourth-order differences err by h⁴ ≈ 1e-12 and by rounding of the energy, 1e-13 · 100 hartree / h."""

ROUNDING = 1e-10
"""Hartree; another order of summation over some hundred thousand points."""

PYSCF_NAMES = {"pbe": "pbe", "b3lyp": "b3lyp", "r2scan": "r2scan", "cam-b3lyp": "camb3lyp"}


@cache
def system(name: str, basis: str = "def2-svp", coulomb: str = "df", level: int = 1):
    held = jqc.build_system(jqc.Molecule.from_xyz(MOLECULES / f"{name}.xyz"), basis, None, coulomb, level)
    return with_range(held, (0.33,))


def density(held, n_spins: int) -> jax.Array:
    """A density matrix without padding that no finite step makes negative anywhere."""
    n = int(held.n_ao)
    guess = initial_dm(held, "minao", n_spins)[:, :n, :n]
    spread = np.stack([np.eye(n) * (0.05 + 0.02 * spin) for spin in range(n_spins)])
    return jnp.asarray(guess + spread)


def directions(held, n_spins: int, count: int) -> np.ndarray:
    n = int(held.n_ao)
    matrices = np.random.default_rng(0).normal(size=(count, n_spins, n, n))
    return 0.5 * (matrices + matrices.swapaxes(-1, -2)) / n


def total(name: str, held, dm):
    return jqc.energy(functional(name), held, dm)


compiled_total = jax.jit(total, static_argnums=0)


def energy(name: str, held, dm) -> float:
    return float(compiled_total(name, held, dm))


@partial(jax.jit, static_argnums=0)
def energies(name, held, dms):
    return jax.vmap(lambda dm: total(name, held, dm))(dms)


@partial(jax.jit, static_argnums=0)
def energy_and_fock(name, held, dm):
    return jax.value_and_grad(partial(total, name, held))(dm)


@partial(jax.jit, static_argnums=0)
def hessian_vector(name, held, dm, direction):
    return jax.jvp(jax.grad(partial(total, name, held)), (dm,), (direction,))[1]


def fourth_order(values) -> np.ndarray:
    """Derivative from values at −2h, −h, h, 2h."""
    return (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * STEP)


STEPS = np.array([-2, -1, 1, 2]) * STEP
CASES = [("water", 1, "pbe"), ("oh", 2, "b3lyp"), ("oh", 2, "r2scan"), ("water", 1, "cam-b3lyp")]


@pytest.mark.parametrize(("name", "n_spins", "xc"), CASES)
def test_fock_matrix_is_the_slope_of_the_energy(name, n_spins, xc):
    held = system(name, "sto-3g")
    dm = density(held, n_spins)
    fock = energy_and_fock(xc, held, dm)[1]
    for direction in directions(held, n_spins, 3):
        slope = fourth_order(energies(xc, held, dm + STEPS[:, None, None, None] * direction))
        assert float(jnp.sum(fock * direction)) == pytest.approx(float(slope), rel=DIFFERENCE)


@pytest.mark.parametrize(("name", "n_spins", "xc"), CASES)
def test_hessian_is_the_slope_of_the_fock_matrix(name, n_spins, xc):
    held = system(name, "sto-3g")
    dm = density(held, n_spins)
    direction = jnp.asarray(directions(held, n_spins, 1)[0])
    slope = fourth_order([energy_and_fock(xc, held, dm + step * direction)[1] for step in STEPS])
    exact = hessian_vector(xc, held, dm, direction)
    np.testing.assert_allclose(exact, slope, rtol=0, atol=DIFFERENCE * np.abs(slope).max())


def test_hessian_is_symmetric():
    held = system("oh", "sto-3g")
    dm, (x, y) = density(held, 2), jnp.asarray(directions(held, 2, 2))
    left = jnp.sum(y * hessian_vector("b3lyp", held, dm, x))
    right = jnp.sum(x * hessian_vector("b3lyp", held, dm, y))
    assert float(left) == pytest.approx(float(right), rel=1e-11)


# --- against PySCF ---


def pyscf_method(held, xc: str):
    molecule = held.molecule
    atoms = list(zip(molecule.symbols, np.asarray(molecule.coords).tolist(), strict=True))
    mole = gto.M(atom=atoms, unit="Bohr", basis="def2-svp", spin=molecule.spin, verbose=0)
    method = dft.KS(mole, xc=PYSCF_NAMES[xc])
    method.grids.level = 1
    return method.density_fit(auxbasis=held.aux_basis) if held.coulomb == "df" else method


def given_density(held, n_spins: int) -> np.ndarray:
    return np.asarray(density(held, n_spins) if n_spins == 2 else density(held, 1)[0])


AGAINST_PYSCF = [("water", 1, xc, coulomb) for xc in PYSCF_NAMES for coulomb in ("df", "exact")]
AGAINST_PYSCF += [("oh", 2, xc, "df") for xc in PYSCF_NAMES] + [("oh", 2, "b3lyp", "exact")]


@pytest.mark.parametrize(("name", "n_spins", "xc", "coulomb"), AGAINST_PYSCF)
def test_energy_and_fock_matrix_equal_pyscf(name, n_spins, xc, coulomb):
    held = system(name, coulomb=coulomb)
    dm = given_density(held, n_spins)
    method = pyscf_method(held, xc)
    value, fock = energy_and_fock(xc, held, jnp.asarray(dm))
    assert float(value) == pytest.approx(method.energy_tot(dm), abs=FOCK_ERROR)
    np.testing.assert_allclose(fock, method.get_fock(dm=dm), rtol=0, atol=FOCK_ERROR)


# --- what an energy must obey ---


@pytest.mark.parametrize("xc", ["pbe", "cam-b3lyp"])
def test_restricted_is_unrestricted_with_equal_spins(xc):
    held = system("water", "sto-3g")
    dm = density(held, 1)
    restricted, unrestricted = energy(xc, held, dm[0]), energy(xc, held, jnp.concatenate([dm, dm]) / 2)
    assert restricted == pytest.approx(unrestricted, abs=ROUNDING)


def test_spins_may_be_exchanged():
    held = system("oh", "sto-3g")
    dm = density(held, 2)
    assert energy("b3lyp", held, dm) == pytest.approx(energy("b3lyp", held, dm[::-1]), abs=ROUNDING)


def hydrogens(offsets, coulomb: str):
    coords = [[0.0, 0.0, z + at] for at in offsets for z in (0.0, 1.4)]
    described = jqc.Molecule.from_arrays(["H"] * len(coords), coords)
    return jqc.build_system(described, coulomb=coulomb, grid_level=1)


APART = {"exact": 1e-10, "df": 1e-6}
"""Hartree. Exact integrals leave rounding and a quadrupole term of 1e-12; a fitted density has a charge that is off
by some 1e-5, which the nuclei 200 bohr away see."""


@pytest.mark.parametrize("coulomb", APART)
@pytest.mark.parametrize("xc", ["pbe", "b3lyp"])
def test_energy_of_two_far_molecules_is_the_sum(xc, coulomb):
    one, two = hydrogens([0.0], coulomb), hydrogens([0.0, 200.0], coulomb)
    n = int(one.n_ao)
    guess = initial_dm(one, "minao", 1)[0, :n, :n]
    dm = guess * 2 / np.sum(guess * np.asarray(one.overlap[:n, :n]))  # neutral, else the ions repel
    both = np.kron(np.eye(2), dm)
    assert energy(xc, two, both) == pytest.approx(2 * energy(xc, one, dm), abs=APART[coulomb])


def test_batch_of_density_matrices():
    held = system("water", "sto-3g")
    dms = density(held, 1)[0] + STEPS[:, None, None] * np.eye(int(held.n_ao))
    batched = energies("b3lyp", held, dms)
    np.testing.assert_allclose(batched, [energy("b3lyp", held, dm) for dm in dms], rtol=0, atol=ROUNDING)


def test_parts_add_up_and_padding_may_be_left_out():
    held = system("water")
    padded = jnp.asarray(initial_dm(held, "minao", 1))
    n = int(held.n_ao)
    parts = jax.jit(partial(energy_parts, functional("b3lyp")))(held, padded)
    assert float(parts.total) == pytest.approx(energy("b3lyp", held, padded[0, :n, :n]), abs=ROUNDING)
    assert float(parts.kinetic) > 0 > float(parts.nuclear_attraction)
    assert float(parts.exact_exchange) < 0
    assert float(parts.coulomb) > 0


def test_factor_of_the_density_changes_nothing():
    held = system("oh", "sto-3g")
    factor = np.random.default_rng(1).normal(size=(2, held.n_padded, 4), scale=0.3)
    factor[:, int(held.n_ao) :] = 0
    dm = jnp.asarray(factor @ factor.swapaxes(1, 2))

    @jax.jit
    def fock(occupied):
        return jax.value_and_grad(lambda dm: energy_parts(functional("b3lyp"), held, dm, occupied).total)(dm)

    for hinted, plain in zip(fock(jnp.asarray(factor)), fock(None), strict=True):
        np.testing.assert_allclose(hinted, plain, rtol=0, atol=ROUNDING)


def test_missing_range_says_how_to_add_it():
    held = jqc.build_system(jqc.Molecule.from_arrays(["He"], [[0.0, 0.0, 0.0]]), grid_level=0)
    with pytest.raises(FunctionalError, match=r"with_range\(system, \(0.33,\)\)"):
        total("cam-b3lyp", held, jnp.zeros((int(held.n_ao),) * 2))
