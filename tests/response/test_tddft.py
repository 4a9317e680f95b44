"""Excitation energies against PySCF's, in every variant, and what they must satisfy by themselves."""

from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pyscf import dft, gto, tdscf

import jqc
from jqc.errors import ConvergenceError, InputError
from jqc.response import excitations
from jqc.response.operators import OrbitalResponse
from jqc.scf import SCFSettings
from jqc.scf.grassmann import exponential, gradient, point
from jqc.system import Molecule, build_system
from jqc.units import ELECTRONVOLT
from jqc.xc.gga import enhanced_exchange

MOLECULES = Path(__file__).parents[2] / "examples/molecules"

ENERGY = 1e-5
"""Electronvolt."""

TIGHT = SCFSettings(energy_tolerance=1e-11, residual_tolerance=1e-7)

FORMALDEHYDE = (
    ["C", "O", "H", "H"],
    [[0.0, 0.0, -0.996], [0.0, 0.0, 1.282], [0.0, 1.771, -2.098], [0.0, -1.771, -2.098]],
)
"""Bohr."""


@cache
def solution(name: str, xc: str):
    if name == "formaldehyde":
        molecule = Molecule.from_arrays(*FORMALDEHYDE)
    else:
        molecule = Molecule.from_xyz(MOLECULES / f"{name}.xyz")
    return jqc.scf(build_system(molecule, grid_level=1), xc, settings=TIGHT).check()


def by_pyscf(name: str, xc: str, states: int, tda: bool, triplet: bool):
    result = solution(name, xc)
    molecule = result.system.molecule
    atoms = list(zip(molecule.symbols, np.asarray(molecule.coords), strict=True))
    mole = gto.M(atom=atoms, unit="Bohr", basis="def2-svp", spin=molecule.spin, verbose=0)
    solver = (dft.UKS if molecule.spin else dft.RKS)(mole, xc=xc.replace("-", ""))
    solver = solver.density_fit(auxbasis="def2-universal-jkfit")
    solver.grids.level, solver.conv_tol, solver.conv_tol_grad = 1, 1e-11, 1e-7
    solver.kernel(np.asarray(result.dm))
    kind = {
        (0, True): tdscf.rks.TDA,
        (0, False): tdscf.rks.TDDFT,
        (1, True): tdscf.uks.TDA,
        (1, False): tdscf.uks.TDDFT,
    }
    response = kind[min(molecule.spin, 1), tda](solver)
    if not molecule.spin:
        response.singlet = not triplet
    response.nstates, response.conv_tol = states + 3, 1e-7
    response.kernel()
    strengths = np.zeros(states) if triplet else response.oscillator_strength()[:states]
    return response.e[:states], strengths


CASES = [
    ("water", "pbe", False, False),
    ("water", "b3lyp", False, False),
    ("water", "b3lyp", False, True),
    ("water", "b3lyp", True, False),
    ("water", "b3lyp", True, True),
    ("water", "cam-b3lyp", False, False),
    ("water", "r2scan", False, True),
    ("formaldehyde", "b3lyp", False, False),
    ("formaldehyde", "b3lyp", False, True),
    ("formaldehyde", "b3lyp", True, False),
    ("oh", "b3lyp", False, False),
    ("oh", "pbe", True, False),
    pytest.param("benzene", "pbe", False, False, marks=pytest.mark.slow),
    pytest.param("benzene", "b3lyp", False, False, marks=pytest.mark.slow),
    pytest.param("benzene", "b3lyp", False, True, marks=pytest.mark.slow),
    pytest.param("benzene", "b3lyp", True, False, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "xc", "tda", "triplet"), CASES)
def test_ten_energies_equal_pyscf(name, xc, tda, triplet):
    found = excitations(solution(name, xc), 10, tda=tda, triplet=triplet)
    energies, strengths = by_pyscf(name, xc, 10, tda, triplet)
    np.testing.assert_allclose(found.energies * ELECTRONVOLT, energies * ELECTRONVOLT, rtol=0, atol=ENERGY)
    ours = by_energy(found.energies, found.oscillator_strengths)
    np.testing.assert_allclose(ours, by_energy(energies, strengths), rtol=0, atol=1e-4)


def by_energy(energies, strengths):
    """Strengths with those of degenerate states added up, for they may be mixed in any way."""
    levels = np.concatenate([[0], np.cumsum(np.diff(energies) * ELECTRONVOLT > 1e-3)])
    return np.bincount(levels, strengths)[: levels[-1]]  # the last level may be cut


@pytest.mark.parametrize("triplet", [False, True])
def test_no_state_is_missed(triplet):
    """All of a pure functional's ω² = d^½ (A + B) d^½ from the whole matrix; the solver finds the lowest ten."""
    response = OrbitalResponse.around(solution("water", "pbe"), triplet)
    plus = response.plus(np.eye(response.gaps.size))
    root = np.sqrt(response.gaps.ravel())
    everything = np.sqrt(np.linalg.eigvalsh(root[:, None] * plus * root))
    found = excitations(solution("water", "pbe"), 10, triplet=triplet)
    np.testing.assert_allclose(found.energies, everything[:10], rtol=0, atol=1e-7)


@pytest.mark.slow
def test_both_of_every_degenerate_pair_of_benzene():
    """Of ten states eight are four pairs; the E1u pair carries the spectrum, and more states change none of the ten."""
    result = solution("benzene", "b3lyp")
    found = excitations(result, 10)
    energies = found.energies * ELECTRONVOLT
    pairs = np.flatnonzero(np.diff(energies) < 1e-3)
    assert len(pairs) >= 3
    bright = np.flatnonzero(found.oscillator_strengths > 0.3)
    assert len(bright) == 2
    np.testing.assert_allclose(*energies[bright], atol=1e-3)
    np.testing.assert_allclose(*found.oscillator_strengths[bright], rtol=1e-2)
    np.testing.assert_allclose(excitations(result, 16).energies[:10], found.energies, rtol=0, atol=1e-6)


# --- functionals whose kernel nobody wrote ---


@partial(jax.tree_util.register_dataclass, data_fields=["inner", "outer"], meta_fields=["local"])
@dataclass(frozen=True)
class NeuralExchange:
    """Exchange with a small network for its enhancement factor, and LYP correlation."""

    inner: jax.Array
    outer: jax.Array
    local: bool = True
    ingredients = "sigma"
    exchange = ((0.0, 0.1),)

    def energy(self, density, quadrature):
        def enhancement(s2):
            hidden = jnp.tanh(self.inner * (s2 / (1 + s2))[..., None])
            return 1 + 0.3 * jnp.tanh(hidden @ self.outer)

        exchange = 0.9 * jnp.sum(quadrature.weights * enhanced_exchange(enhancement, density))
        return exchange + jqc.functional("lyp").energy(density, quadrature)


NETWORK = NeuralExchange(jnp.array([0.5, -1.2, 2.0, 0.8]), jnp.array([0.7, -0.3, 0.4, 0.5]))


@cache
def learned(name: str, local: bool = True):
    system = build_system(Molecule.from_xyz(MOLECULES / f"{name}.xyz"), "6-31g", grid_level=0)
    return jqc.scf(system, replace(NETWORK, local=local), settings=TIGHT).check()


@pytest.mark.parametrize("name", ["water", "oh"])
def test_a_learned_functionals_response_is_the_gradients_slope(name):
    """(A + B) x against finite differences of the energy's gradient (the Fock matrix) along a geodesic."""
    result = learned(name)
    response = OrbitalResponse.around(result)
    at = response.at
    x = jnp.where(response.gaps < 100.0, np.random.default_rng(0).normal(size=response.gaps.shape), 0.0)
    step = 2e-3 / float(jnp.linalg.norm(x))
    ends = [gradient(result.functional, response.system, exponential(at, k * step * x)) for k in (1, -1, 2, -2)]
    slope = (8 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / (12 * step)
    found = response.plus(np.asarray(x).reshape(1, -1)).reshape(x.shape) * 2 * at.electrons_per_orbital
    np.testing.assert_allclose(found, slope, rtol=0, atol=1e-7 * float(jnp.abs(slope).max()))


def test_a_functional_of_the_whole_density_gives_the_same():
    """One that is handed the whole density at once has no kernel point by point, and is differentiated as it is."""
    local, whole = (excitations(learned("water", kind), 3).energies for kind in (True, False))
    np.testing.assert_allclose(local, whole, rtol=0, atol=1e-8)


def test_leading_pairs_are_the_heaviest():
    found = excitations(solution("formaldehyde", "b3lyp"), 10)
    first = found.leading_pairs(0)[0]
    assert (first.spin, first.below, first.above) == (0, 0, 0)  # n → π*
    assert first.weight > 0.95
    for state in range(10):
        weights = [pair.weight for pair in found.leading_pairs(state, least=0.0)]
        assert weights == sorted(weights, reverse=True)
    radical = excitations(solution("oh", "pbe"), 10, tda=True)
    assert {pair.spin for state in range(10) for pair in radical.leading_pairs(state)} == {0, 1}


def test_amplitudes_are_normalised_and_natural_orbitals_orthonormal():
    result = solution("water", "b3lyp")
    found = excitations(result, 3)
    product = np.einsum("nsai,msai->nm", found.x_plus_y, found.x_minus_y)
    np.testing.assert_allclose(product, np.eye(3), rtol=0, atol=1e-5)
    weights, holes, particles = found.natural_orbitals(0)
    overlap = np.asarray(result.system.overlap)
    assert weights.sum() == pytest.approx(1.0, abs=0.05)
    for orbitals in (holes[0], particles[0]):
        np.testing.assert_allclose(orbitals.T @ overlap @ orbitals, np.eye(orbitals.shape[1]), rtol=0, atol=1e-8)


def test_all_states_are_the_whole_matrix():
    """Tamm–Dancoff of helium, every root, sums to the trace of A."""
    helium = build_system(Molecule.from_arrays(["He"], [[0.0, 0.0, 0.0]]), "6-31g", grid_level=1)
    result = jqc.scf(helium, "pbe", settings=TIGHT)
    found = excitations(result, 1, tda=True)
    at = point(helium, result.mo_coeff)
    curvature = jqc.scf.grassmann.hessian(result.functional, helium, at)[0, 0] / 4
    gap = result.mo_energy[1] - result.mo_energy[0]
    assert found.energies[0] == pytest.approx(0.5 * (float(curvature) + float(gap)), abs=1e-6)


def test_what_is_refused():
    with pytest.raises(InputError, match="0 states"):
        excitations(solution("water", "pbe"), 0)
    with pytest.raises(InputError, match="needs a restricted result"):
        excitations(solution("oh", "pbe"), 2, triplet=True)
    stopped = jqc.scf(solution("water", "pbe").system, "pbe", max_iterations=1)
    with pytest.raises(ConvergenceError):
        excitations(stopped)
