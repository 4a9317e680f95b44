"""Labels against the Grassmannian's own derivatives, finite differences and other ways to the same numbers."""

import jax.numpy as jnp
import numpy as np
import pytest

import jqc
from jqc.data.record import from_file, to_bytes
from jqc.distill.exchange import ExchangeLabels, named, stored_exchange
from jqc.distill.labels import LARGEST_RISE, SMALLEST_RISE, LabelSettings, label, padded_point
from jqc.errors import InputError
from jqc.programs import counted
from jqc.scf import grassmann
from jqc.system import Molecule, build_system, size_classes

SAME = 1e-9
"""Hartree; what padding and the order of summation may change."""

RANGES = (0.0, 0.33, -0.11, 1e-5)
"""Per bohr."""

STEP = 1e-3
"""Of finite differences along geodesics; their error is of its fourth order."""


@pytest.fixture(scope="module")
def around(water, labels, settings):
    """System, teacher, the solution, and a way to give tangents its shape."""
    system = build_system(water, grid_level=settings.grid_level)
    at = padded_point(system, jnp.asarray(labels["mo_coeff"][0]))
    virt, occ = labels["tangents"].shape[-2:]

    def padded(x):
        return jnp.pad(x, ((0, 0), (0, at.virtual.shape[-1] - virt), (0, at.occupied.shape[-1] - occ)))

    return system, jqc.functional(settings.functional), at, padded, lambda x: np.asarray(x)[..., :virt, :occ]


def test_solution(water, labels, settings):
    result = jqc.scf(build_system(water, grid_level=settings.grid_level), settings.functional)
    assert labels["energy"] == pytest.approx(result.energy, abs=SAME)
    assert labels["energies"][0] == pytest.approx(result.energy, abs=SAME)
    np.testing.assert_allclose(labels["dipole"], result.dipole, atol=1e-4)  # both are converged to some 1e-5
    parts = ("kinetic", "nuclear_attraction", "coulomb", "exact_exchange", "exchange_correlation", "nuclear_repulsion")
    assert sum(labels[f"energy_{name}"] for name in parts) == pytest.approx(float(labels["energy"]), abs=SAME)
    assert np.abs(labels["gradients"][0]).max() < 1e-6


def test_gradients_and_products_are_those_of_the_grassmannian(labels, around):
    system, teacher, at, padded, cut = around
    for k, x in enumerate(labels["tangents"]):
        there = grassmann.exponential(at, padded(x))
        assert labels["energies"][k + 1] == pytest.approx(float(grassmann.energy(teacher, system, there)), abs=SAME)
        np.testing.assert_allclose(
            labels["gradients"][k + 1], cut(grassmann.gradient(teacher, system, there)), atol=SAME
        )
        product = grassmann.hvp(teacher, system, at, padded(x))
        np.testing.assert_allclose(labels["hessian_products"][k], cut(product), atol=SAME)


def test_energies_along_a_geodesic_have_these_derivatives(labels, around):
    system, teacher, at, padded, _ = around
    x = labels["tangents"][0] / np.linalg.norm(labels["tangents"][0])

    def energy(t):
        return float(grassmann.energy(teacher, system, grassmann.exponential(at, padded(t * x))))

    second = (energy(STEP) - 2 * energy(0.0) + energy(-STEP)) / STEP**2
    product = labels["hessian_products"][0] / np.linalg.norm(labels["tangents"][0])
    assert second == pytest.approx(float(np.sum(x * product)), rel=1e-5)


def test_exact_exchange_is_what_the_teacher_has_besides_its_quadrature(labels, around):
    """Gradient of B3LYP = gradient of its semi-local part + 0.2 of the labels of exact exchange."""
    system, _, at, padded, cut = around
    semilocal = jqc.functional("0.08*slater + 0.72*b88 + 0.19*vwn_rpa + 0.81*lyp")
    assert labels["exchange_energies_0"][0] * 0.2 == pytest.approx(float(labels["energy_exact_exchange"]), abs=SAME)
    for k, x in enumerate(labels["tangents"]):
        there = grassmann.exponential(at, padded(x))
        difference = labels["gradients"][k + 1] - cut(grassmann.gradient(semilocal, system, there))
        np.testing.assert_allclose(difference, 0.2 * labels["exchange_gradients_0"][k + 1], atol=SAME)
        difference = labels["hessian_products"][k] - cut(grassmann.hvp(semilocal, system, at, padded(x)))
        np.testing.assert_allclose(difference, 0.2 * labels["exchange_products_0"][k], atol=SAME)


def test_displaced_densities_lie_in_the_range(labels):
    rises = labels["energies"][1:] - labels["energies"][0]
    assert np.all(rises > 0.5 * SMALLEST_RISE)
    assert np.all(rises < 2 * LARGEST_RISE)


def test_neither_padding_nor_company_changes_a_label(water, example, labels, settings):
    both = [water, example("formamide")]
    room = size_classes(both, settings.basis, grid_level=settings.grid_level, waste=0.9).classes[0].lengths
    other = label(water, "water", settings, room)
    assert other.keys() == labels.keys()
    for name, (array, _) in other.items():
        # Signs of orbitals are free, and tangents and what belongs to them follow the orbitals.
        same = (np.abs(array), np.abs(labels[name])) if array.ndim > 2 else (array, labels[name])
        np.testing.assert_allclose(*same, atol=1e-7, err_msg=name)


def test_a_second_molecule_of_a_class_makes_no_program(water):
    """Of another formula, with other numbers of orbitals and electrons."""
    fluoride = Molecule.from_arrays(["F", "H"], [[0.0, 0.0, 0.0], [0.0, 0.0, 1.75]])
    settings = LabelSettings("slater", "sto-3g", grid_level=0, derivatives=1)
    room = size_classes([water, fluoride], "sto-3g", grid_level=0, waste=0.9).classes[0].lengths
    label(water, "water", settings, room)
    with counted() as programs:
        label(fluoride, "fluoride", settings, room)
    assert programs.made == 0


def test_the_name_and_the_seed_choose_the_tangents(water, settings, labels):
    other = label(water, "another", settings)["tangents"][0]
    assert np.abs(other - labels["tangents"]).max() > 1e-3


def test_no_derivatives_on_request(water, settings):
    arrays = label(water, "water", LabelSettings(grid_level=0, derivatives=0))
    assert "energy" in arrays
    assert "tangents" not in arrays
    with pytest.raises(InputError, match="-1 derivatives"):
        LabelSettings(derivatives=-1)


def test_unpaired_electrons_have_labels_of_both_spins(hydroxyl, settings):
    arrays = {name: array for name, (array, _) in label(hydroxyl, "oh", settings).items()}
    assert arrays["mo_coeff"].shape[0] == 2
    assert arrays["gradients"].shape[1] == 2
    assert np.all(np.isfinite(arrays["hessian_products"]))
    assert np.all(arrays["energies"][1:] > arrays["energies"][0])


def test_few_rotations_have_the_whole_hessian(hydrogen, hydrogen_labels, teacher):
    """Three tangents of three rotations, orthogonal in the metric: products along any other tangent are theirs."""
    tangents, products = hydrogen_labels["tangents"][:, 0, :, 0], hydrogen_labels["hessian_products"][:, 0, :, 0]
    levels = hydrogen_labels["mo_energy"][0]
    overlap = (tangents * 4 * (levels[1:] - levels[0])) @ tangents.T
    np.testing.assert_allclose(overlap, np.diag(np.diag(overlap)), atol=1e-12)
    system = build_system(hydrogen, "6-31g", grid_level=0)
    at = grassmann.point(system, jnp.asarray(hydrogen_labels["mo_coeff"][0]))
    other = jnp.zeros((1, at.virtual.shape[-1], 1)).at[0, :3, 0].set(jnp.array([0.3, -0.2, 0.5]))
    found = np.linalg.solve(tangents.T, other[0, :3, 0]) @ products
    expected = grassmann.hvp(jqc.functional(teacher), system, at, other)
    np.testing.assert_allclose(found, expected[0, :3, 0], atol=SAME)


def test_exchange_of_every_range_is_stored_and_found(tmp_path):
    """Ranges of CAM-B3LYP and HSE06: none of their digits and signs can stand in an array's name as they are."""
    made = {omega: ExchangeLabels(*(jnp.full(1, k + 10.0 * n) for k in range(3))) for n, omega in enumerate(RANGES)}
    content = to_bytes("water", {name: (np.asarray(array), "hartree") for name, array in named(made).items()}, {})
    (tmp_path / "water.h5").write_bytes(content)
    found = stored_exchange(from_file(tmp_path / "water.h5", "water").arrays)
    assert found.keys() == made.keys()
    for omega, each in found.items():
        assert [float(array[0]) for array in vars(each).values()] == [
            float(array[0]) for array in vars(made[omega]).values()
        ]


def test_without_rotations_nothing_changes():
    atom = Molecule.from_arrays(["H"], [[0.0, 0.0, 0.0]], spin=1)
    arrays = {
        name: array for name, (array, _) in label(atom, "h", LabelSettings("slater", "sto-3g", grid_level=0)).items()
    }
    assert arrays["tangents"].shape == (2, 2, 0, 0)
    np.testing.assert_allclose(arrays["energies"], float(arrays["energy"]), atol=SAME)


def test_levels_that_do_not_exist_are_refused():
    with pytest.raises(InputError, match="grid level 10 does not exist"):
        LabelSettings(grid_level=10)
