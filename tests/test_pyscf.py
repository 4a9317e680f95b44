"""PySCF both ways: its densities in jqc, and our functionals, densities and results in PySCF."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pyscf import dft, gto, scf
from pyscf.dft.numint import NumInt

import jqc
import jqc.pyscf
from jqc.errors import FunctionalError, InputError, PrecisionError
from jqc.pyscf.integrator import PIECE, Integrator, derivatives, exchange_words
from jqc.response import excitations, forces
from jqc.scf import SCFSettings
from jqc.system import Molecule, System, build_system, with_range
from jqc.units import ELECTRONVOLT
from jqc.xc.base import integrate

MOLECULES = Path(__file__).parents[1] / "examples/molecules"

ENERGY = 1e-8
"""Hartree; the same points, integrals and functional, both converged."""

SLOPE = 1e-6
"""Hartree/bohr."""

EXCITATION = 1e-5
"""Electronvolt."""

TIGHT = SCFSettings(energy_tolerance=1e-11, residual_tolerance=1e-7)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Neural:
    """Slater's exchange of each spin times a small network of s² and τ/τ_uniform, and a tenth of exact exchange."""

    hidden: jax.Array
    out: jax.Array
    ingredients = "tau"
    exchange = ((0.0, 0.1),)
    local = True

    def energy(self, density, quadrature):
        here = density.rho > 1e-12
        rho = jnp.where(here, density.rho, 1.0)
        sigma, tau = (jnp.where(here, x, 0.0) for x in (density.sigma[::2], density.tau))
        inputs = jnp.stack([jnp.log1p(sigma / rho ** (8 / 3)), jnp.tanh(tau / (9 * rho ** (5 / 3)))], axis=-1)
        factor = 1 + 0.3 * jnp.tanh(jnp.tanh(inputs @ self.hidden) @ self.out)
        return integrate(jnp.sum(jnp.where(here, -0.93 * rho ** (4 / 3) * factor, 0.0), axis=0), quadrature)


@cache
def neural() -> Neural:
    rng = np.random.default_rng(0)
    return Neural(jnp.asarray(rng.normal(size=(2, 4))), jnp.asarray(rng.normal(size=4)))


def functional(name: str):
    return neural() if name == "neural" else jqc.functional(name)


@cache
def solution(name: str, xc: str):
    molecule = Molecule.from_xyz(MOLECULES / f"{name}.xyz")
    return jqc.scf(build_system(molecule, grid_level=1), functional(xc), settings=TIGHT).check()


def mole(name: str, **options):
    molecule = Molecule.from_xyz(MOLECULES / f"{name}.xyz")
    atoms = list(zip(molecule.symbols, np.asarray(molecule.coords), strict=True))
    return gto.M(**{"atom": atoms, "unit": "Bohr", "basis": "def2-svp", "spin": molecule.spin, "verbose": 0} | options)


def solver(name: str, xc: str):
    """As a user of PySCF makes it."""
    kohn_sham = dft.UKS if name == "oh" else dft.RKS
    mf = kohn_sham(mole(name)).density_fit(auxbasis="def2-universal-jkfit")
    mf.grids.level, mf.conv_tol, mf.conv_tol_grad = 1, 1e-11, 1e-7
    return jqc.pyscf.with_functional(mf, functional(xc))


@cache
def solved(name: str, xc: str):
    mf = solver(name, xc)
    mf.kernel(dm0=jqc.pyscf.dm0(solution(name, xc), mf))
    assert mf.converged
    return mf


# --- a functional of jqc in PySCF ---

CASES = [
    ("water", "lda"),
    ("water", "pbe"),
    ("water", "r2scan"),
    ("water", "b3lyp"),
    ("water", "hse06"),
    ("water", "wb97x"),
    ("water", "hf"),
    ("water", "neural"),
    ("oh", "pbe"),
    ("oh", "r2scan"),
    ("oh", "b3lyp"),
    ("oh", "hse06"),
    ("oh", "neural"),
]


@pytest.mark.parametrize(("name", "xc"), CASES)
def test_the_energy_is_jqcs(name, xc):
    assert solved(name, xc).e_tot == pytest.approx(solution(name, xc).energy, abs=ENERGY)


def test_the_usual_guess_leads_there_too():
    assert solver("water", "neural").kernel() == pytest.approx(solution("water", "neural").energy, abs=ENERGY)


@pytest.mark.parametrize(("name", "xc"), [("water", "b3lyp"), ("water", "neural"), ("oh", "neural")])
def test_gradients_are_jqcs(name, xc):
    slopes = solved(name, xc).nuc_grad_method().kernel()
    np.testing.assert_allclose(-slopes, forces(solution(name, xc)), rtol=0, atol=SLOPE)


@pytest.mark.parametrize(
    ("xc", "tda", "triplet"),
    [("b3lyp", False, False), ("b3lyp", True, False), ("b3lyp", True, True), ("neural", False, False)],
)
def test_excitations_are_jqcs(xc, tda, triplet):
    mf = solved("water", xc)
    response = mf.TDA() if tda else mf.TDDFT()
    response.singlet, response.nstates, response.conv_tol = not triplet, 5, 1e-7
    energies = response.kernel()[0][:3]
    expected = excitations(solution("water", xc), 3, tda=tda, triplet=triplet).energies
    np.testing.assert_allclose(energies * ELECTRONVOLT, expected * ELECTRONVOLT, rtol=0, atol=EXCITATION)


def test_newton_solver_runs():
    mf = solver("oh", "neural").newton()
    mf.conv_tol = 1e-11
    energy = mf.kernel(dm0=jqc.pyscf.dm0(solution("oh", "neural"), mf))
    assert energy == pytest.approx(solution("oh", "neural").energy, abs=ENERGY)


def hydrogen(**options):
    return dft.RKS(gto.M(atom="H 0 0 0; H 0 0 0.75", basis="6-31g", verbose=0), **options)


def test_hessian_is_pyscfs():
    ours, theirs = jqc.pyscf.with_functional(hydrogen(), "pbe").run(), hydrogen(xc="pbe").run()
    np.testing.assert_allclose(ours.Hessian().kernel(), theirs.Hessian().kernel(), rtol=0, atol=1e-6)


def test_third_derivatives_serve_gradients_of_excited_states():
    ours, theirs = jqc.pyscf.with_functional(hydrogen(), "lda").run(), hydrogen(xc="lda,vwn").run()
    slopes = [mf.TDA().run(nstates=1, conv_tol=1e-8).nuc_grad_method().kernel() for mf in (ours, theirs)]
    np.testing.assert_allclose(*slopes, rtol=0, atol=SLOPE)


def test_restricted_open_shell():
    """At one density: neither program's SCF gets far with this one."""
    theirs = dft.ROKS(mole("oh"), xc="lda,vwn")
    ours = jqc.pyscf.with_functional(theirs, "lda")
    dm = jqc.pyscf.dm0(solution("oh", "pbe"), ours)
    assert ours.energy_tot(dm) == pytest.approx(theirs.energy_tot(dm), abs=ENERGY)
    np.testing.assert_allclose(ours.get_veff(dm=dm), theirs.get_veff(dm=dm), rtol=0, atol=ENERGY)


def test_the_object_handed_over_stays_as_it_was():
    mf = hydrogen(xc="pbe")
    changed = jqc.pyscf.with_functional(mf, "lda")
    assert (mf.xc, type(mf._numint)) == ("pbe", NumInt)
    changed.xc = "pbe"
    assert changed.kernel() == pytest.approx(mf.kernel(), abs=1e-10)


# --- derivatives point by point ---


def random_features(n_spins: int, rows: int, count: int = 200) -> np.ndarray:
    """ρ in 1e-3 … 10, any gradient up to s ≈ 2, τ above von Weizsäcker's."""
    rng = np.random.default_rng(5)
    rho = 10 ** rng.uniform(-3, 1, (n_spins, 1, count))
    slopes = rng.normal(size=(n_spins, 3, count)) * 2 * rho ** (4 / 3)
    tau = (slopes**2).sum(1, keepdims=True) / (8 * rho) + rng.uniform(0.1, 3, rho.shape) * rho ** (5 / 3)
    u = np.concatenate([rho, slopes, tau], axis=1)[:, :rows]
    return u if n_spins == 2 else u[0]


@pytest.mark.parametrize("n_spins", [1, 2])
@pytest.mark.parametrize(
    ("xc", "theirs", "rows", "order"),
    [("lda", "lda,vwn", 1, 3), ("pbe", "pbe,pbe", 4, 3), ("b3lyp", "b3lyp", 4, 2), ("r2scan", "r2scan,r2scan", 5, 2)],
)
def test_derivatives_are_libxcs(xc, theirs, rows, order, n_spins):
    u = random_features(n_spins, rows)
    ours = Integrator(jqc.functional(xc)).eval_xc_eff("jqc", u, deriv=order, spin=n_spins - 1)
    expected = NumInt().eval_xc_eff(theirs, u, deriv=order, spin=n_spins - 1)
    for level, (a, b) in enumerate(zip(ours, expected, strict=True)):
        assert (a is None) == (b is None) == (level > order)
        if a is not None:
            assert a.shape == b.shape
            assert a.flags.writeable
            np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9 * np.abs(b).max())


def test_features_with_a_laplacian_or_without_axes():
    u, ours = random_features(2, 5), Integrator(jqc.functional("tpss"))
    with_laplacian = np.insert(u, 4, 7.0, axis=1)
    for a, b in zip(ours.eval_xc_eff("jqc", tuple(with_laplacian)), ours.eval_xc_eff("jqc", u), strict=True):
        np.testing.assert_array_equal(a, b)
    slater = Integrator(jqc.functional("slater"))
    assert slater.eval_xc_eff("jqc", u[0, 0])[1].shape == (1, u.shape[-1])
    assert slater.eval_xc_eff("jqc", u[:, 0])[1].shape == (2, 1, u.shape[-1])


def test_no_electrons_no_energy():
    values = Integrator(jqc.functional("pbe")).eval_xc_eff("jqc", np.zeros((2, 4, 3)), deriv=1)
    assert not values[0].any()
    assert np.isfinite(values[1]).all()


def test_pieces_are_put_together():
    u = np.random.default_rng(2).uniform(0.1, 1.0, (1, 1, 2 * PIECE + 3))
    value, slope = derivatives(jqc.functional("slater"), u, 1)
    np.testing.assert_allclose(value, -0.75 * (3 / np.pi) ** (1 / 3) * u[0, 0] ** (4 / 3), rtol=1e-12)
    np.testing.assert_allclose(slope[0, 0], 4 / 3 * value / u[0, 0], rtol=1e-12)


@dataclass(frozen=True)
class Described:
    exchange: tuple


@pytest.mark.parametrize(
    ("exchange", "words"),
    [
        ((), (0.0, 0.0, 0.0)),
        (((0.0, 0.25),), (0.0, 0.25, 0.25)),
        (((0.0, 0.19), (0.33, 0.46)), (0.33, 0.65, 0.19)),
        (((0.3, 1.0),), (0.3, 1.0, 0.0)),
        (((-0.11, 0.25),), (0.11, 0.0, 0.25)),
        (((0.0, 0.1), (-0.2, 0.3), (0.2, 0.5), (0.7, 0.0)), (0.2, 0.6, 0.4)),
    ],
)
def test_ranges_in_pyscfs_words(exchange, words):
    """ω, long-range and short-range coefficients."""
    assert exchange_words(Described(exchange)) == pytest.approx(words)


# --- PySCF's objects in jqc ---


def kohn_sham(name: str, xc: str, restricted=True, **options):
    mf = (dft.RKS if restricted else dft.UKS)(mole(name, **options), xc=xc)
    mf.grids.level = 1
    return mf


def custom_grid():
    mf = kohn_sham("water", "pbe").density_fit(auxbasis="def2-universal-jkfit")
    mf.grids.atom_grid, mf.grids.prune = {"O": (30, 110), "H": (25, 86)}, None
    return mf


def custom_basis():
    """Another basis for each element, a core potential, and a default fitting set of several names."""
    basis = {"H": gto.basis.load("6-311g**", "H"), "I": "def2-svp"}
    mf = dft.RKS(gto.M(atom="H 0 0 0; I 0 0.2 1.6", basis=basis, ecp={"I": "def2-svp"}, verbose=0), xc="b3lyp")
    mf.grids.level = 1
    return mf.density_fit()


GIVEN = {
    "fitted": lambda: kohn_sham("water", "pbe").density_fit(auxbasis="def2-universal-jkfit"),
    "default fitting set": lambda: kohn_sham("oh", "b3lyp", False, basis="cc-pvdz").density_fit(),
    "exact": lambda: kohn_sham("water", "r2scan", basis="6-31g"),
    "unrestricted": lambda: kohn_sham("oh", "b3lyp", False, basis="6-31g"),
    "range-separated": lambda: kohn_sham("water", "hse06", basis="6-31g"),
    "symmetric": lambda: kohn_sham("water", "pbe", basis="6-31g", symmetry=True),
    "cation": lambda: kohn_sham("water", "pbe", False, basis="6-31g", charge=1, spin=1),
    "own grid": custom_grid,
    "own basis": custom_basis,
    "restricted open shell": lambda: dft.ROKS(mole("oh", basis="6-31g"), xc="lda,vwn"),
    "Hartree-Fock": lambda: scf.RHF(mole("water")).density_fit(auxbasis="def2-universal-jkfit"),
}


@pytest.mark.parametrize("kind", GIVEN)
def test_jqc_finds_pyscfs_energy(kind):
    mf = GIVEN[kind]()
    mf.max_cycle = 4  # a density need not be converged
    mf.kernel()
    xc = jqc.functional(getattr(mf, "xc", "hf"))
    system = with_range(jqc.pyscf.system(mf), tuple(omega for omega, _ in xc.exchange))
    dm = jqc.pyscf.density(mf)
    assert float(jqc.energy(xc, system, dm)) == pytest.approx(mf.energy_tot(dm), abs=ENERGY)


def test_names_are_kept_where_they_say_it_all():
    fitted: System = jqc.pyscf.system(GIVEN["fitted"]())
    assert (fitted.basis, fitted.aux_basis, fitted.coulomb) == ("def2-svp", "def2-universal-jkfit", "df")
    assert jqc.pyscf.system(GIVEN["exact"]()).coulomb == "exact"


def test_a_basis_written_out_serves_forces():
    mf = custom_basis()
    mf.conv_tol, mf.conv_tol_grad = 1e-11, 1e-7
    mf.kernel()
    result = jqc.scf(jqc.pyscf.system(mf), "b3lyp", jqc.pyscf.density(mf), settings=TIGHT)
    assert result.energy == pytest.approx(mf.e_tot, abs=ENERGY)
    np.testing.assert_allclose(forces(result), -mf.nuc_grad_method().kernel(), rtol=0, atol=SLOPE)


def test_nothing_is_built_in_the_object():
    mf = kohn_sham("water", "pbe", basis="6-31g")
    jqc.pyscf.system(mf)
    assert mf.grids.coords is None


# --- results of jqc in PySCF ---


@pytest.mark.parametrize("name", ["water", "oh"])
def test_a_result_is_a_solved_mean_field(name):
    result = solution(name, "pbe")
    mf = jqc.pyscf.mean_field(result)
    assert mf.converged
    assert mf.energy_tot() == pytest.approx(result.energy, abs=ENERGY)
    slopes = mf.nuc_grad_method().kernel()
    np.testing.assert_allclose(-slopes, forces(result), rtol=0, atol=SLOPE)


def test_shapes_of_a_density():
    water, hydroxyl = solution("water", "pbe"), solution("oh", "pbe")
    halves = jqc.pyscf.dm0(water, scf.UHF(mole("water")))
    np.testing.assert_array_equal(halves[0], halves[1])
    np.testing.assert_allclose(halves.sum(0), water.dm, rtol=0, atol=1e-15)
    assert jqc.pyscf.dm0(water, dft.RKS(mole("water"))).shape == water.dm.shape
    assert jqc.pyscf.dm0(hydroxyl, dft.ROKS(mole("oh"))).shape == hydroxyl.dm.shape


# --- what is refused ---


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: scf.RHF(mole("oh", charge=1, spin=0)), "is unrestricted, RHF is not"),
        (lambda: scf.UHF(mole("oh", basis="6-31g")), "in 19 orbitals.*has 11"),
        (lambda: scf.UHF(mole("water")), "of O H, the mean-field object of O H H"),
    ],
)
def test_densities_that_do_not_fit(make, message):
    with pytest.raises(InputError, match=message):
        jqc.pyscf.dm0(solution("oh", "pbe"), make())


def periodic():
    from pyscf.pbc import gto as pbc_gto
    from pyscf.pbc import scf as pbc_scf

    return pbc_scf.RHF(pbc_gto.M(atom="He", a=np.eye(3) * 4, basis="sto-3g", verbose=0))


def small(**options):
    return gto.M(**{"atom": "He", "basis": "sto-3g", "verbose": 0} | options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (periodic, "is periodic"),
        (lambda: scf.GHF(small()), "received GHF"),
        (lambda: scf.RHF(small(cart=True)), "Cartesian"),
        (lambda: scf.RHF(small(atom="He 0 0 0; ghost-He 0 0 2")), r"ghost atoms \(GHOST-He\)"),
        (lambda: scf.RHF(small()).PCM(), "solvent"),
        (lambda: scf.RHF(small(atom="Ar", basis="6-31g")).x2c(), "Hamiltonian is not the molecule's own"),
        (lambda: scf.RHF(small()).density_fit(only_dfj=True), "differently"),
        (
            lambda: scf.RHF(small(atom="He1 0 0 0; He2 0 0 2", basis={"He1": "sto-3g", "He2": "6-31g"})),
            "He carry different functions",
        ),
    ],
)
def test_objects_that_jqc_cannot_take(make, message):
    with pytest.raises(InputError, match=message):
        jqc.pyscf.system(make())


def test_no_density_yet():
    with pytest.raises(InputError, match=r"run mf\.kernel\(\) first"):
        jqc.pyscf.density(scf.RHF(small()))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Placed:
    """Reads where the points are."""

    exchange = ()
    local = True
    ingredients = "rho"

    def energy(self, density, quadrature):
        return jnp.sum(quadrature.weights * density.rho.sum(0) * quadrature.coords[..., 2])


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Square(Placed):
    """The square of the number of electrons."""

    local = False


@dataclass(frozen=True)
class TwoRanges(Placed):
    exchange = ((0.2, 0.5), (-0.3, 0.5))


@pytest.mark.parametrize(
    ("xc", "message"),
    [
        (Placed(), "without positions"),
        (Square(), "Square sees the whole grid at once"),
        (TwoRanges(), "ω = 0.2, 0.3"),
        ("nonsense", "names no functional"),
        (3, "received 3"),
    ],
)
def test_functionals_that_pyscf_cannot_take(xc, message):
    with pytest.raises(FunctionalError, match=message):
        jqc.pyscf.with_functional(hydrogen(), xc)


@pytest.mark.parametrize("make", [lambda: scf.RHF(small()), lambda: dft.GKS(small()), periodic])
def test_objects_that_integrate_nothing_here(make):
    with pytest.raises(InputError, match="give an RKS, ROKS or UKS object"):
        jqc.pyscf.with_functional(make(), "lda")


def test_single_precision():
    with jax.enable_x64(False), pytest.raises(PrecisionError):
        jqc.pyscf.with_functional(hydrogen(), "lda")


def test_another_range():
    mf = jqc.pyscf.with_functional(hydrogen(), "lda")
    mf.omega = 0.4
    with pytest.raises(FunctionalError, match=r"mf\.omega is 0\.4"):
        mf.kernel()


def test_orders_there_are():
    with pytest.raises(FunctionalError, match="order 4"):
        Integrator(jqc.functional("lda")).eval_xc_eff("jqc", np.ones(5), deriv=4)
