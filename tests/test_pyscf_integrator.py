"""PySCF's integrator with a functional of jqc: derivatives point by point against libxc's, and what is refused."""

from dataclasses import dataclass

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


def random_features(n_spins: int, rows: int, count: int = 200) -> np.ndarray:
    """ρ in 1e-3 … 10, any gradient up to s ≈ 2, τ above von Weizsäcker's."""
    rng = np.random.default_rng(5)
    rho = 10 ** rng.uniform(-3, 1, (n_spins, 1, count))
    slopes = rng.normal(size=(n_spins, 3, count)) * 2 * rho ** (4 / 3)
    tau = (slopes**2).sum(1, keepdims=True) / (8 * rho) + rng.uniform(0.1, 3, rho.shape) * rho ** (5 / 3)
    u = np.concatenate([rho, slopes, tau], axis=1)[:, :rows]
    return u if n_spins == 2 else u[0]


@pytest.mark.parametrize(
    ("xc", "theirs", "rows", "order", "n_spins"),
    [
        ("lda", "lda,vwn", 1, 3, 2),
        ("pbe", "pbe,pbe", 4, 3, 1),
        ("pbe", "pbe,pbe", 4, 2, 2),
        ("r2scan", "r2scan,r2scan", 5, 2, 1),
        ("r2scan", "r2scan,r2scan", 5, 2, 2),
    ],
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


# --- what is refused ---


def hydrogen(**options):
    return dft.RKS(gto.M(atom="H 0 0 0; H 0 0 0.75", basis="6-31g", verbose=0), **options)


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


@pytest.mark.parametrize("make", [lambda: scf.RHF(hydrogen().mol), lambda: dft.GKS(hydrogen().mol)])
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


def test_features_that_are_missing():
    with pytest.raises(FunctionalError, match="4 density features are read, but 1"):
        Integrator(jqc.functional("pbe")).eval_xc_eff("jqc", np.ones(5))


def test_orders_there_are():
    with pytest.raises(FunctionalError, match="order 4"):
        Integrator(jqc.functional("lda")).eval_xc_eff("jqc", np.ones(5), deriv=4)
