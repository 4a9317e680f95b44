"""A molecule: nuclei, positions, charge and spin, read from and written to files, ASE atoms and arrays.

Positions are in bohr inside and in ångström in files and ASE atoms. The constructors `from_*` validate;
`Molecule(...)` itself does not, so that positions may be traced.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from jqc.errors import MoleculeError
from jqc.system.xyz import OWN_KEYS, Frame, element_number, parse_frames, read_text, shown, written_comment
from jqc.typing import Array, Float, Int
from jqc.units import ANGSTROM

if TYPE_CHECKING:
    from ase import Atoms

CLOSEST = 0.2
"""Atoms nearer to each other than this, in ångström, are taken for a mistake in the input."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Molecule:
    """Nuclei at positions in bohr, with the total charge and `spin` = 2S, the number of unpaired electrons.

    >>> hydroxyl = Molecule.from_arrays(["O", "H"], [[0, 0, 0], [0, 0, 0.97]], "angstrom", spin=1)
    >>> hydroxyl.n_electrons, hydroxyl.n_alpha, hydroxyl.symbols
    (9, 5, ('O', 'H'))
    """

    numbers: Int[np.ndarray | Array, "atom"]
    coords: Float[np.ndarray | Array, "atom 3"]
    charge: int = field(default=0, metadata={"static": True})
    spin: int = field(default=0, metadata={"static": True})

    @classmethod
    def from_xyz(cls, path: str | Path, charge: int | None = None, spin: int | None = None) -> Self:
        """First frame of an XYZ or extended-XYZ file, in ångström.

        A charge or spin not given is the comment line's `charge=` or `spin=`, else zero.

        Raises:
            MoleculeError: the file cannot be read, or describes no molecule.
        """
        return cls.from_xyz_text(read_text(path), charge, spin, source=str(path))

    @classmethod
    def from_xyz_text(
        cls, text: str, charge: int | None = None, spin: int | None = None, *, source: str = "XYZ text"
    ) -> Self:
        r"""First frame of a text in XYZ or extended-XYZ format, in ångström; `source` names it in errors.

        Raises:
            MoleculeError: the text describes no molecule.

        >>> Molecule.from_xyz_text("2\nspin=1\nO 0 0 0\nH 0 0 0.97").spin
        1
        """
        return cls._from_frame(next(parse_frames(text, source)), charge, spin, source)

    @classmethod
    def from_ase(cls, atoms: "Atoms", charge: int | None = None, spin: int | None = None) -> Self:
        """Molecule of ASE atoms; a charge or spin not given is that of `atoms.info`, else zero.

        Raises:
            MoleculeError: the atoms are periodic, or describe no molecule.
        """
        if atoms.pbc.any():
            raise MoleculeError("The ASE atoms are periodic, jqc solves molecules; set atoms.pbc = False.")
        charge = _integer(atoms.info.get("charge", 0), "atoms.info: charge") if charge is None else charge
        spin = _integer(atoms.info.get("spin", 0), "atoms.info: spin") if spin is None else spin
        return cls.from_arrays(atoms.numbers, atoms.positions, "angstrom", charge, spin)

    @classmethod
    def from_arrays(
        cls,
        elements: Sequence[str | int] | np.ndarray,
        coords: ArrayLike,
        unit: Literal["bohr", "angstrom"] = "bohr",
        charge: int = 0,
        spin: int = 0,
    ) -> Self:
        """Molecule of element symbols or atomic numbers, and positions of shape (atom, 3).

        Raises:
            MoleculeError: the arrays do not fit each other, or describe no molecule.
        """
        if unit not in ("bohr", "angstrom"):
            raise MoleculeError(f"The unit {unit!r} is unknown; choose 'bohr' or 'angstrom'.")
        numbers = np.array([_number(element) for element in elements], dtype=np.int64)
        try:
            positions = np.array(coords, dtype=np.float64)
        except (TypeError, ValueError):
            raise MoleculeError("Coordinates must be an array of numbers; give x, y, z for each atom.") from None
        if len(numbers) and positions.shape != (len(numbers), 3):
            raise MoleculeError(
                f"Coordinates of {len(numbers)} atoms have shape {positions.shape}; give x, y, z for each."
            )
        scale = ANGSTROM if unit == "angstrom" else 1.0
        charge, spin = _integer(charge, "charge"), _integer(spin, "spin")
        molecule = cls(numbers, positions.reshape(-1, 3) / scale, charge, spin)
        validate(molecule)
        return molecule

    @classmethod
    def _from_frame(cls, frame: Frame, charge: int | None, spin: int | None, source: str) -> Self:
        """Molecule of a frame of a file."""
        _refuse_lattice(frame)
        info, where = frame.info, frame.comment_at
        charge = _integer(info.get("charge", 0), f"{where}: charge") if charge is None else charge
        spin = _integer(info.get("spin", 0), f"{where}: spin") if spin is None else spin
        try:
            return cls.from_arrays(frame.numbers, frame.coords, "angstrom", charge, spin)
        except MoleculeError as error:
            raise MoleculeError(f"{source}: {error}") from None

    def to_xyz_text(self, info: Mapping[str, str] | None = None) -> str:
        """The molecule in extended-XYZ format, in ångström; charge, spin and the keys of `info` in the comment line.

        Raises:
            MoleculeError: a key or value of `info` cannot be written such that it is read back.
        """
        own = f"Properties=species:S:1:pos:R:3 charge={self.charge} spin={self.spin}"
        header = f"{len(self.numbers)}\n{own}{written_comment(info or {})}"
        positions = np.asarray(self.coords) * ANGSTROM
        rows = (
            f"{symbol:<2} {x:16.10f} {y:16.10f} {z:16.10f}"
            for symbol, (x, y, z) in zip(self.symbols, positions, strict=True)
        )
        return "\n".join([header, *rows]) + "\n"

    def to_ase(self) -> "Atoms":
        """ASE atoms, with charge and spin in `atoms.info`."""
        from ase import Atoms

        positions = np.asarray(self.coords) * ANGSTROM
        return Atoms(self.symbols, positions, info={"charge": self.charge, "spin": self.spin})

    @property
    def symbols(self) -> tuple[str, ...]:
        """Element symbols."""
        from ase.data import chemical_symbols

        return tuple(chemical_symbols[number] for number in np.asarray(self.numbers).tolist())

    @property
    def n_electrons(self) -> int:
        """Number of electrons."""
        return int(np.sum(self.numbers)) - self.charge

    @property
    def n_alpha(self) -> int:
        """Number of spin-up electrons, the majority."""
        return (self.n_electrons + self.spin) // 2

    @property
    def n_beta(self) -> int:
        """Number of spin-down electrons."""
        return (self.n_electrons - self.spin) // 2


def read_frames(
    path: str | Path, charge: int | None = None, spin: int | None = None
) -> Iterator[tuple[Molecule, dict[str, str]]]:
    """Every frame of an XYZ or extended-XYZ file: its molecule, and what else its comment line says.

    Arguments are those of `Molecule.from_xyz`; the second of a pair holds the comment's other key=value pairs,
    keys in lower case.

    Raises:
        MoleculeError: the file cannot be read, or a frame describes no molecule.
    """
    for frame in parse_frames(read_text(path), str(path)):
        others = {key: value for key, value in frame.info.items() if key not in OWN_KEYS}
        yield Molecule._from_frame(frame, charge, spin, str(path)), others


def validate(molecule: Molecule) -> None:
    """Refuse nuclei, positions, charge or spin that cannot exist; not for use inside a trace.

    Raises:
        MoleculeError: there are no atoms or no electrons, an element does not exist, a coordinate is not
            finite, two atoms are closer than 0.2 Å, or the number of electrons forbids the spin.
    """
    if len(molecule.numbers) == 0:
        raise MoleculeError("The molecule has no atoms; give at least one.")
    for number in np.asarray(molecule.numbers):
        _number(int(number))
    _check_positions(molecule)
    _check_electrons(molecule)


def nuclear_repulsion(molecule: Molecule) -> Float[Array, ""]:
    """Coulomb energy of the nuclei in hartree, E = Σ_{A<B} Z_A Z_B / |R_A − R_B|.

    Differentiable in the positions. Atoms of number zero, which padding adds, may sit anywhere.

    >>> float(nuclear_repulsion(Molecule.from_arrays(["H", "H"], [[0, 0, 0], [0, 0, 2.0]])))
    0.5
    """
    first, second = np.triu_indices(len(molecule.numbers), k=1)
    numbers, coords = jnp.asarray(molecule.numbers), jnp.asarray(molecule.coords)
    charges = numbers[first] * numbers[second]
    square = jnp.sum((coords[first] - coords[second]) ** 2, axis=-1)
    # The guard is inside the root: a padded pair at distance zero must not give a gradient of 0 · inf.
    return jnp.sum(charges / jnp.sqrt(jnp.where(charges == 0, 1.0, square)))


def _number(element: str | int | np.integer) -> int:
    """Atomic number of an element given by symbol or number."""
    number = element_number(str(element))
    if number is None:
        raise MoleculeError(f"{shown(str(element))} is no element; give a symbol or an atomic number.")
    return number


def _integer(value: Any, name: str) -> int:
    """A charge or spin as an integer; files may write 1.0 for 1."""
    try:
        return index(value)
    except TypeError:
        pass
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not number.is_integer():
        raise MoleculeError(f"{name} is {shown(str(value))}; give an integer.")
    return int(number)


def _refuse_lattice(frame: Frame) -> None:
    """Refuse a periodic frame: solved as a molecule it would give a wrong number without a warning."""
    default = "T" if "lattice" in frame.info else "F"
    periodic = frame.info.get("pbc", default).lower().split()
    if not all(flag in ("f", "false", "0") for flag in periodic):
        raise MoleculeError(
            f"{frame.comment_at}: the frame is periodic, jqc solves molecules; remove Lattice and pbc, "
            'or write pbc="F F F".'
        )


def _check_positions(molecule: Molecule) -> None:
    """Finite coordinates, and no two atoms on top of each other."""
    from scipy.spatial import KDTree

    coords = np.asarray(molecule.coords)
    labels = [f"{symbol}{at}" for at, symbol in enumerate(molecule.symbols, start=1)]
    for label, position in zip(labels, coords, strict=True):
        if not np.all(np.isfinite(position)):
            raise MoleculeError(f"Atom {label} is at {position.tolist()}; give finite coordinates.")
    if len(labels) < 2:
        return
    distances, neighbours = KDTree(coords).query(coords, k=2)  # an atom's nearest two include the atom itself
    first = int(np.argmin(distances[:, 1]))
    distance = float(distances[first, 1]) * ANGSTROM
    if distance < CLOSEST:
        second = next(at for at in np.asarray(neighbours)[first].tolist() if at != first)
        names = " and ".join(labels[at] for at in sorted((first, second)))
        raise MoleculeError(
            f"Atoms {names} are {distance:.3f} Å apart; move them at least {CLOSEST} Å apart, "
            "and check the unit of the coordinates."
        )


def _check_electrons(molecule: Molecule) -> None:
    """At least one electron, and a spin that the number of electrons allows."""
    electrons, spin = molecule.n_electrons, molecule.spin
    if electrons < 1:
        nuclear = electrons + molecule.charge
        raise MoleculeError(
            f"Charge {molecule.charge} leaves {electrons} electrons with a nuclear charge of {nuclear}; "
            f"give a charge of at most {nuclear - 1}."
        )
    if spin < 0 or spin > electrons or (electrons - spin) % 2:
        allowed = range(electrons % 2, electrons + 1, 2)
        text = ", ".join(map(str, allowed[:4])) + (f", ... up to {allowed[-1]}" if electrons > 8 else "")
        raise MoleculeError(
            f"Spin {spin} (2S, the number of unpaired electrons) is impossible with {electrons} electrons; "
            f"give spin {text}."
        )
