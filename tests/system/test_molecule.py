"""Reading, checking and writing molecules, and their nuclear repulsion."""

from contextlib import suppress
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import molecule as ase_molecule
from hypothesis import given
from hypothesis import strategies as st

from jqc.errors import MoleculeError
from jqc.system.molecule import Molecule, nuclear_repulsion, read_frames, validate
from jqc.system.xyz import parse_frames
from jqc.units import ANGSTROM

WATER = "3\n\nO 0.0 0.0 0.119262\nH 0.0 0.763239 -0.477047\nH 0.0 -0.763239 -0.477047\n"
POSITIONS = [[0.0, 0.0, 0.119262], [0.0, 0.763239, -0.477047], [0.0, -0.763239, -0.477047]]


@pytest.fixture(autouse=True)
def _double_precision():
    with jax.enable_x64(True):
        yield


def assert_is_water(molecule: Molecule) -> None:
    assert molecule.symbols == ("O", "H", "H")
    np.testing.assert_allclose(np.asarray(molecule.coords) * ANGSTROM, POSITIONS, rtol=0, atol=1e-14)


def rows(text: str) -> list[str]:
    return text.split("\n")[2:-1]


# --- what the parser accepts ---


@pytest.mark.parametrize(
    "text",
    [
        WATER,
        WATER + "\n  \n\n",
        WATER.rstrip("\n"),
        WATER.replace("\n", "\r\n"),
        WATER.replace("\n", "\r"),
        "\ufeff" + WATER,
        WATER.replace("O ", "8 ").replace("H ", "1 "),
        WATER.replace("O ", "o ").replace("H ", "h "),
        WATER.replace(" 0.119262", "\t+1.19262D-01").replace("-0.477047", "-4.77047d-1"),
        WATER.replace("0.119262", ".119262E0"),
        WATER.replace("119262\n", "119262 -0.8 some charge\n"),
        WATER.replace("3\n", "  3  \n", 1),
        WATER.replace("\n\n", "\nit's a \"comment, E = -76.4 Hartree\n", 1),
        WATER + WATER.replace("0.119262", "0.2"),
        WATER + "\n" + WATER,
    ],
    ids=[
        "plain",
        "trailing-blank-lines",
        "no-final-newline",
        "windows",
        "old-mac",
        "byte-order-mark",
        "atomic-numbers",
        "lower-case",
        "fortran",
        "no-leading-zero",
        "extra-columns",
        "padded-count",
        "free-comment",
        "second-frame",
        "blank-line-between-frames",
    ],
)
def test_reads_variants_of_the_format(text):
    assert_is_water(Molecule.from_xyz_text(text))


@pytest.mark.parametrize(
    ("properties", "template"),
    [
        ("species:S:1:pos:R:3", "{s} {p}"),
        ("pos:R:3:species:S:1", "{p} {s}"),
        ("id:I:1:forces:R:3:Species:S:1:mask:L:2:pos:R:3", "7 9.0 9.0 9.0 {s} T F {p}"),
        ("species:S:1:pos:R:3:Z:I:1", "{s} {p} 99"),
        ("Z:I:1:pos:R:3", "{s} {p}"),
    ],
)
def test_reads_columns_in_any_order(properties, template):
    atoms = [template.format(s=row.split()[0], p=" ".join(row.split()[1:])) for row in rows(WATER)]
    for quote in ("", '"'):
        comment = f'name="charge=5 spin=7" Properties={quote}{properties}{quote} pbc="F F F"'
        molecule = Molecule.from_xyz_text("\n".join(["3", comment, *atoms]))
        assert_is_water(molecule)
        assert (molecule.charge, molecule.spin) == (0, 0)


@pytest.mark.parametrize("comment", ["charge=-1 spin=1", 'spin = 1 Charge="-1"', "note charge='-1' x=\"y z\" spin=1.0"])
def test_comment_gives_charge_and_spin_unless_overridden(comment):
    text = WATER.replace("\n\n", f"\n{comment}\n", 1)
    molecule = Molecule.from_xyz_text(text)
    assert (molecule.charge, molecule.spin) == (-1, 1)
    assert (molecule.n_electrons, molecule.n_alpha, molecule.n_beta) == (11, 6, 5)
    molecule = Molecule.from_xyz_text(text, charge=0, spin=2)
    assert (molecule.charge, molecule.spin, molecule.n_alpha, molecule.n_beta) == (0, 2, 6, 4)


def test_reads_every_frame(tmp_path):
    path = tmp_path / "three.xyz"
    path.write_text(WATER + "\n" + WATER.replace("\n\n", "\nspin=2\n", 1) + WATER)
    frames = list(read_frames(path))
    assert [molecule.spin for molecule, _ in frames] == [0, 2, 0]
    assert_is_water(frames[2][0])
    assert_is_water(Molecule.from_xyz(str(path)))


def test_frames_keep_what_else_the_comment_says(tmp_path):
    path = tmp_path / "two.xyz"
    molecule = Molecule.from_xyz_text(WATER, charge=1, spin=1)
    path.write_text(molecule.to_xyz_text({"smiles": r"F/C=C\F", "note": "it's wet", "empty": ""}) + WATER)
    (first, said), (_, nothing) = read_frames(path)
    assert (first.charge, first.spin) == (1, 1)
    assert said == {"smiles": r"F/C=C\F", "note": "it's wet", "empty": ""}
    assert nothing == {}


@pytest.mark.parametrize("info", [{"spin": "1"}, {"Name": "a"}, {"a b": "c"}, {"a": 'b"c'}, {"a": "b\nc"}, {"": "a"}])
def test_refuses_comments_that_would_not_be_read_back(info):
    with pytest.raises(MoleculeError, match="comment line"):
        Molecule.from_xyz_text(WATER).to_xyz_text(info)


def test_shipped_geometries_are_molecules():
    paths = sorted((Path(__file__).parents[2] / "examples" / "molecules").glob("*.xyz"))
    assert len(paths) >= 12
    for path in paths:
        validate(Molecule.from_xyz(path))


# --- what the parser refuses ---

MALFORMED = {
    "": "is empty",
    " \n\r\n\t\n": "is empty",
    "\ufeff": "is empty",
    "water\n" + WATER: "line 1: expected the number of atoms, received 'water'",
    "\n" + WATER: "line 1: expected the number of atoms",
    "-3" + WATER[1:]: "line 1: expected the number of atoms",
    "3.0" + WATER[1:]: "line 1: expected the number of atoms",
    "9" * 5000: "line 1: expected the number of atoms",
    "999999999" + WATER[1:]: "line 1: 999999999 atoms are announced but 3 lines follow",
    "3": "line 1: 3 atoms are announced but 0 lines follow",
    "4" + WATER[1:]: "line 1: 4 atoms are announced but 3 lines follow",
    "2" + WATER[1:]: "line 5: 'H 0.0 -0.763239 -0.477047' follows the 2 atoms",
    WATER + "the end": "line 6: 'the end' follows the 3 atoms announced in line 1",
    WATER.replace("0.763239", "0,763239"): "line 4: '0,763239' is not a number",
    WATER.replace("0.763239", "0.76_32"): "line 4: '0.76_32' is not a number",
    WATER.replace("0.763239", "٣"): "line 4: '٣' is not a number",
    WATER.replace("0.763239", "NaN"): "line 4: coordinate 'NaN' is not finite",
    WATER.replace("0.763239", "-inf"): "line 4: coordinate '-inf' is not finite",
    WATER.replace("0.763239", "1e999"): "line 4: coordinate '1e999' is not finite",
    WATER.replace("H 0.0 0.7", "H 0.7"): "line 4: expected an atom in 4 columns",
    WATER.replace("H 0.0 0.763239 -0.477047\n", "\n") + "H 0 0 9": "line 4: expected an atom in 4 columns",
    WATER.replace("O ", "Oxygen "): "line 3: 'Oxygen' is no element",
    WATER.replace("O ", "X "): "line 3: 'X' is no element",
    WATER.replace("O ", "0 "): "line 3: '0' is no element",
    WATER.replace("O ", "119 "): "line 3: '119' is no element",
    "0\n\n": "give at least one",
    WATER.replace("\n\n", "\nProperties=pos:R:3\n", 1): "line 2: Properties='pos:R:3' does not describe",
    WATER.replace("\n\n", "\nProperties=species:S:1:pos:R\n", 1): "line 2: Properties=",
    WATER.replace("\n\n", "\nProperties=species:S:1:pos:R:3:q:R:1\n", 1): "expected an atom in 5 columns",
    WATER.replace("\n\n", "\ncharge=one\n", 1): "line 2: charge is 'one'; give an integer",
    WATER.replace("\n\n", "\nspin=0.5\n", 1): "line 2: spin is '0.5'; give an integer",
    WATER.replace("\n\n", "\nspin=inf\n", 1): "line 2: spin is 'inf'; give an integer",
    WATER.replace("\n\n", '\nLattice="9 0 0 0 9 0 0 0 9"\n', 1): "line 2: the frame is periodic",
    WATER.replace("\n\n", '\nLattice="9 0 0 0 9 0 0 0 9" pbc="F F T"\n', 1): "line 2: the frame is periodic",
}


@pytest.mark.parametrize(("text", "message"), MALFORMED.items(), ids=MALFORMED.values())
def test_refuses_malformed_text_and_says_where(text, message):
    with pytest.raises(MoleculeError) as caught:
        Molecule.from_xyz_text(text, source="a.xyz")
    assert str(caught.value).startswith("a.xyz")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"3\n\n\xff\xfeO", "is not UTF-8 text"),
        (bytes(range(128)), "expected the number of atoms"),
    ],
)
def test_refuses_bytes_that_are_no_text(tmp_path, content, message):
    path = tmp_path / "bad.xyz"
    path.write_bytes(content)
    with pytest.raises(MoleculeError, match=message):
        Molecule.from_xyz(path)


def test_refuses_paths_that_are_no_file(tmp_path):
    with pytest.raises(MoleculeError, match=r"cannot be read .no such file"):
        Molecule.from_xyz(tmp_path / "missing.xyz")
    with pytest.raises(MoleculeError, match=r"cannot be read .is a directory"):
        Molecule.from_xyz(tmp_path)
    with pytest.raises(MoleculeError, match="is not a file name"):
        Molecule.from_xyz("a\0b.xyz")


@given(st.text())
def test_arbitrary_text_is_a_molecule_or_an_error(text):
    with suppress(MoleculeError):
        validate(Molecule.from_xyz_text(text))


@given(
    st.lists(
        st.lists(
            st.one_of(
                st.sampled_from(
                    ["H", "O", "1", "2", "3", "-1", "0.5", "1D0", "nan", "Properties=", "species:S:1:pos:R:3"]
                ),
                st.sampled_from(["charge=", "spin=1", '"', "'", "=", "Lattice", ":", "\x1c", "\u2028", "1e400"]),
                st.floats().map(repr),
                st.text(max_size=4),
            ),
            max_size=6,
        ).map(" ".join),
        max_size=7,
    ).map("\n".join),
    st.integers(0, 4),
)
def test_text_made_of_the_format_s_own_words_is_a_molecule_or_an_error(text, count):
    with suppress(MoleculeError):
        validate(Molecule.from_xyz_text(f"{count}\n{text}"))


@given(content=st.binary())
def test_arbitrary_bytes_are_a_molecule_or_an_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "arbitrary.xyz"
    path.write_bytes(content)
    with suppress(MoleculeError):
        validate(Molecule.from_xyz(path))


def test_a_long_comment_is_read_in_one_pass():
    for comment in ("a" * 10**6, "a =" * 10**6, '"' * 10**6, "a " * 10**6, "a" + " " * 10**6):
        assert_is_water(Molecule.from_xyz_text(WATER.replace("\n\n", f"\n{comment}\n", 1)))


# --- what makes no molecule ---


@pytest.mark.parametrize(
    ("elements", "coords", "keywords", "message"),
    [
        ([], [], {}, "no atoms"),
        (["H", "H"], [[0, 0, 0], [0, 0, 0.3]], {}, "Atoms H1 and H2 are 0.159 Å apart"),
        (["O", "H", "H"], [[0, 0, 0], [1, 0, 0], [0, 0, 0]], {}, "Atoms O1 and H3 are 0.000 Å apart"),
        (["He"] * 3, [[0, 0, 0]] * 3, {}, "0.000 Å apart"),
        (["He"], [[0, np.nan, 0]], {}, "Atom He1 is at"),
        (["He"], [[0, np.inf, 0]], {}, "finite"),
        (["He"], [[0, 0]], {}, "shape"),
        (["He"], [["a", 0, 0]], {}, "array of numbers"),
        (["He"], [[0], [0, 0]], {}, "array of numbers"),
        (["He"], [[0, 0, 0]], {"unit": "nm"}, "'nm' is unknown; choose 'bohr' or 'angstrom'"),
        (["Qq"], [[0, 0, 0]], {}, "'Qq' is no element"),
        ([0], [[0, 0, 0]], {}, "'0' is no element"),
        ([119], [[0, 0, 0]], {}, "'119' is no element"),
        ([-1], [[0, 0, 0]], {}, "'-1' is no element"),
        (["He"], [[0, 0, 0]], {"charge": 2}, "Charge 2 leaves 0 electrons .* at most 1"),
        (["He"], [[0, 0, 0]], {"charge": 3}, "Charge 3 leaves -1 electrons"),
        (["He"], [[0, 0, 0]], {"charge": 0.5}, "charge is '0.5'"),
        (["He"], [[0, 0, 0]], {"spin": "triplet"}, "spin is 'triplet'"),
        (["He"], [[0, 0, 0]], {"spin": 1}, "Spin 1 .* impossible with 2 electrons; give spin 0, 2"),
        (["He"], [[0, 0, 0]], {"spin": -2}, "Spin -2"),
        (["He"], [[0, 0, 0]], {"spin": 4}, "Spin 4"),
        (["F"], [[0, 0, 0]], {}, "give spin 1, 3, 5, 7, ... up to 9"),
        (["He"], [[0, 0, 0]], {"charge": -(10**30), "spin": 1}, "Spin 1"),
    ],
)
def test_refuses_what_is_no_molecule(elements, coords, keywords, message):
    with pytest.raises(MoleculeError, match=message) as caught:
        Molecule.from_arrays(elements, coords, **keywords)
    assert "\n" not in str(caught.value)


def test_refuses_periodic_atoms():
    with pytest.raises(MoleculeError, match="periodic"):
        Molecule.from_ase(ase_molecule("H2O", vacuum=5.0, pbc=True))


# --- round trips ---

finite = st.floats(-50, 50)


@given(
    st.lists(st.tuples(st.integers(1, 118), finite, finite, finite), min_size=1, max_size=6),
    st.integers(-3, 0),
)
def test_text_and_ase_round_trips(atoms, charge):
    numbers, coords = [atom[0] for atom in atoms], [atom[1:] for atom in atoms]
    try:
        spin = (sum(numbers) - charge) % 2
        molecule = Molecule.from_arrays(numbers, coords, charge=charge, spin=spin)
    except MoleculeError:
        return
    for again, tolerance in (
        (Molecule.from_ase(molecule.to_ase()), 1e-13),
        (Molecule.from_xyz_text(molecule.to_xyz_text()), 1e-10 / ANGSTROM),
    ):
        np.testing.assert_array_equal(again.numbers, molecule.numbers)
        np.testing.assert_allclose(again.coords, molecule.coords, rtol=0, atol=tolerance)
        assert (again.charge, again.spin) == (charge, spin)


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]*", fullmatch=True), st.text()))
def test_comments_come_back_or_are_refused(info):
    try:
        text = Molecule.from_xyz_text(WATER).to_xyz_text(info)
    except MoleculeError:
        return
    (frame,) = parse_frames(text)
    assert {key: frame.info[key] for key in info} == info


def test_ase_reads_what_is_written(tmp_path):
    from ase.io import read

    path = tmp_path / "water.xyz"
    path.write_text(Molecule.from_xyz_text(WATER, charge=-1, spin=1).to_xyz_text())
    atoms = read(path)
    assert_is_water(Molecule.from_ase(atoms))
    assert (atoms.info["charge"], atoms.info["spin"]) == (-1, 1)


def test_units_of_arrays():
    assert_is_water(Molecule.from_arrays([8, 1, 1], POSITIONS, "angstrom"))
    assert_is_water(Molecule.from_arrays(np.array([8, 1, 1]), np.array(POSITIONS) / ANGSTROM))


def test_is_a_pytree_with_static_charge_and_spin():
    leaves, tree = jax.tree.flatten(Molecule.from_xyz_text(WATER, charge=1, spin=1))
    assert [np.shape(leaf) for leaf in leaves] == [(3,), (3, 3)]
    assert jax.tree.unflatten(tree, leaves).spin == 1


# --- nuclear repulsion ---


def at(molecule: Molecule, coords) -> Molecule:
    return Molecule(molecule.numbers, coords, molecule.charge, molecule.spin)


def test_repulsion_equals_the_double_sum():
    molecule = Molecule.from_ase(ase_molecule("CH3CH2OH"))
    expected = sum(
        molecule.numbers[i] * molecule.numbers[j] / np.linalg.norm(molecule.coords[i] - molecule.coords[j])
        for i in range(9)
        for j in range(i)
    )
    assert float(nuclear_repulsion(molecule)) == pytest.approx(expected, rel=1e-14)
    assert float(jax.jit(nuclear_repulsion)(molecule)) == pytest.approx(expected, rel=1e-14)


def test_repulsion_of_one_atom_is_zero_with_zero_derivatives():
    atom = Molecule.from_arrays(["Ne"], [[1.0, 2.0, 3.0]])
    energy = lambda coords: nuclear_repulsion(at(atom, coords))  # noqa: E731
    assert float(energy(atom.coords)) == 0.0
    np.testing.assert_array_equal(jax.grad(energy)(atom.coords), np.zeros((1, 3)))
    np.testing.assert_array_equal(jax.hessian(energy)(atom.coords), np.zeros((1, 3, 1, 3)))


def test_padded_atoms_change_neither_repulsion_nor_gradient():
    water = Molecule.from_xyz_text(WATER)
    padded = Molecule(np.append(water.numbers, [0, 0]), np.vstack([water.coords, np.zeros((2, 3))]))
    gradient = jax.grad(lambda coords: nuclear_repulsion(at(padded, coords)))(padded.coords)
    expected = jax.grad(lambda coords: nuclear_repulsion(at(water, coords)))(water.coords)
    assert float(nuclear_repulsion(padded)) == float(nuclear_repulsion(water))
    np.testing.assert_allclose(gradient, np.vstack([expected, np.zeros((2, 3))]), rtol=0, atol=1e-14)


def test_repulsion_gradient_equals_finite_differences():
    molecule = Molecule.from_ase(ase_molecule("CH3CONH2"))
    coords, step = np.asarray(molecule.coords), 1e-4
    gradient = jax.grad(lambda moved: nuclear_repulsion(at(molecule, moved)))(coords)
    assert np.all(np.isfinite(gradient))
    for index in np.ndindex(*coords.shape):
        shift = np.zeros_like(coords)
        shift[index] = step
        higher, lower = (float(nuclear_repulsion(at(molecule, coords + s * shift))) for s in (1, -1))
        # Central differences: step² third derivatives plus rounding of 70 Eh over the step.
        assert (higher - lower) / (2 * step) == pytest.approx(float(gradient[index]), abs=1e-6)


@given(st.tuples(finite, finite, finite))
def test_repulsion_is_translation_invariant(shift):
    molecule = Molecule.from_xyz_text(WATER)
    moved = at(molecule, jnp.asarray(molecule.coords) + jnp.asarray(shift))
    assert float(nuclear_repulsion(moved)) == pytest.approx(float(nuclear_repulsion(molecule)), rel=1e-12)
