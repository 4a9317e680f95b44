"""The XYZ and extended-XYZ format: text in, frames out, nothing about chemistry beyond element symbols.

Coordinates keep the file's unit, ångström. Every complaint names the source and the line.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jqc.errors import MoleculeError, refusal
from jqc.typing import Float, Int

_COUNT = re.compile(r"[0-9]{1,9}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eEdD][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
# The last two alternatives swallow everything else, so that a long comment is read in one pass.
_COMMENT = re.compile(
    r"""(?P<key>[^\s="]++)\s*+=\s*+(?:"(?P<double>[^"]*+)"|'(?P<single>[^']*+)'|(?P<plain>[^\s"]*+))"""
    r"""|"[^"]*+"|[^\s=]++|=""",
)

_KEY = re.compile(r"[a-z][a-z0-9_]*")
_VALUE = re.compile(r"[^\"\r\n]*")

OWN_KEYS = ("properties", "charge", "spin", "lattice", "pbc")
"""Keys of a comment line that say what the molecule is and how it is written."""


@dataclass(frozen=True)
class Columns:
    """Where an atom's line holds its element and its position, and how many columns it has at least."""

    element: int = 0
    position: int = 1
    width: int = 4


@dataclass(frozen=True)
class Frame:
    """One geometry of a file: atomic numbers, positions in ångström, key-values of the comment, its line."""

    numbers: Int[np.ndarray, "atom"]
    coords: Float[np.ndarray, "atom 3"]
    info: Mapping[str, str]
    comment_at: str


def read_text(path: str | Path) -> str:
    """Text of a file, without a byte-order mark.

    Raises:
        MoleculeError: the file is missing, is a folder, may not be read, or is not UTF-8 text.
    """
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MoleculeError(
            f"{path} is not UTF-8 text (byte {error.start + 1}); give an XYZ file saved as UTF-8."
        ) from None
    except OSError as error:
        reason = refusal(error)
        raise MoleculeError(f"{path} cannot be read ({reason}); give the path of an XYZ file.") from None
    except ValueError:
        raise MoleculeError(f"{path!r} is not a file name; give the path of an XYZ file.") from None


def parse_frames(text: str, source: str = "XYZ text") -> Iterator[Frame]:
    r"""Frames of an XYZ or extended-XYZ text, one by one.

    A frame is a line with the number of atoms, a comment line, and a line `element x y z` per atom, element
    being a symbol or an atomic number; `Properties=` in the comment may name other columns.

    Raises:
        MoleculeError: the text is no such list of frames.

    >>> [frame.numbers.tolist() for frame in parse_frames("2\n\nO 0 0 0\nH 0 0 0.97\n")]
    [[8, 1]]
    """
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise MoleculeError(f"{source} is empty; an XYZ file starts with the number of atoms.")
    start = 0
    while start < len(lines):
        frame = _parse_frame(lines, start, source)
        start = _next_frame(lines, start, len(frame.numbers), source)
        yield frame


def written_comment(info: Mapping[str, str]) -> str:
    """Key-values as a comment line holds them, each behind a blank.

    Raises:
        MoleculeError: a key or value would not be read back as it is.

    >>> written_comment({"smiles": "C=O"})
    ' smiles="C=O"'
    """
    for key, value in info.items():
        if key in OWN_KEYS or not _KEY.fullmatch(key):
            raise MoleculeError(
                f"{shown(key)} cannot be a key of a comment line; give one of small letters, digits and underscores "
                f"that is none of {', '.join(OWN_KEYS)}."
            )
        if not _VALUE.fullmatch(value):
            raise MoleculeError(f"{shown(value)} cannot stand in a comment line; remove double quotes and line breaks.")
    return "".join(f' {key}="{value}"' for key, value in info.items())


def shown(text: str) -> str:
    """A piece of someone's input, quoted and shortened, fit for one line."""
    return repr(text if len(text) <= 40 else text[:37] + "...")


def element_number(token: str) -> int | None:
    """Atomic number that a symbol in any case, or a number, stands for; None if there is no such element."""
    from ase.data import atomic_numbers, chemical_symbols

    if _COUNT.fullmatch(token):
        return int(token) if 0 < int(token) < len(chemical_symbols) else None
    return atomic_numbers.get(token.capitalize()) or None  # 0 is ASE's dummy atom


def _parse_frame(lines: list[str], start: int, source: str) -> Frame:
    """The frame whose atom count is at index `start`."""
    count = lines[start].strip()
    if not _COUNT.fullmatch(count):
        raise MoleculeError(
            f"{source}, line {start + 1}: expected the number of atoms, received {shown(count)}; "
            "an XYZ file starts with that number, a comment line, then one line per atom."
        )
    present = max(len(lines) - start - 2, 0)
    if int(count) > present:
        raise MoleculeError(
            f"{source}, line {start + 1}: {count} atoms are announced but {present} lines follow the comment "
            "line; correct the number or add the missing atoms."
        )
    comment_at = f"{source}, line {start + 2}"
    info = _parse_comment(lines[start + 1]) if start + 1 < len(lines) else {}
    columns = _parse_properties(info["properties"], comment_at) if "properties" in info else Columns()
    atoms = [
        _parse_atom(lines[index], columns, f"{source}, line {index + 1}")
        for index in range(start + 2, start + 2 + int(count))
    ]
    numbers = np.array([number for number, _ in atoms], dtype=np.int64)
    coords = np.array([xyz for _, xyz in atoms], dtype=np.float64).reshape(-1, 3)
    return Frame(numbers, coords, info, comment_at)


def _next_frame(lines: list[str], start: int, count: int, source: str) -> int:
    """Index of the count line after the frame at `start`, or the number of lines if it is the last."""
    following = start + 2 + count
    while following < len(lines) and not lines[following].strip():
        following += 1
    if following < len(lines) and not _COUNT.fullmatch(lines[following].strip()):
        raise MoleculeError(
            f"{source}, line {following + 1}: {shown(lines[following].strip())} follows the {count} atoms "
            f"announced in line {start + 1}; correct that number or remove the line."
        )
    return following


def _parse_comment(comment: str) -> dict[str, str]:
    """Key-values of a comment line, keys in lower case; words that are no key-value are skipped."""
    return {
        match["key"].lower(): match["double"] or match["single"] or match["plain"] or ""
        for match in _COMMENT.finditer(comment)
        if match["key"] is not None
    }


def _parse_properties(text: str, where: str) -> Columns:
    """Columns that an extended-XYZ `Properties=name:type:count:...` describes."""
    parts = text.split(":")
    widths = parts[2::3]
    offsets: dict[str, int] = {}
    total = 0
    if len(parts) % 3 == 0 and all(_COUNT.fullmatch(width) for width in widths):
        for name, kind, width in zip(parts[0::3], parts[1::3], widths, strict=True):
            offsets[f"{name}:{kind}:{int(width)}".lower()] = total
            total += int(width)
    element = offsets.get("species:s:1", offsets.get("z:i:1", offsets.get("numbers:i:1")))
    position = offsets.get("pos:r:3", offsets.get("positions:r:3"))
    if element is None or position is None:
        raise MoleculeError(
            f"{where}: Properties={shown(text)} does not describe elements and positions; "
            "write Properties=species:S:1:pos:R:3, with further columns where the lines have them."
        )
    return Columns(element, position, total)


def _parse_atom(line: str, columns: Columns, where: str) -> tuple[int, list[float]]:
    """Atomic number and position in a line."""
    tokens = line.split()
    if len(tokens) < columns.width:
        raise MoleculeError(
            f"{where}: expected an atom in {columns.width} columns, received {shown(line.strip())}; "
            "write its element and x, y, z in ångström, or correct the number of atoms."
        )
    number = element_number(tokens[columns.element])
    if number is None:
        raise MoleculeError(
            f"{where}: {shown(tokens[columns.element])} is no element; write a symbol or an atomic number."
        )
    return number, [_parse_number(tokens[columns.position + axis], where) for axis in range(3)]


def _parse_number(token: str, where: str) -> float:
    """A finite number, with a Fortran exponent if need be."""
    if _NUMBER.fullmatch(token):
        value = float(token.translate(str.maketrans("dD", "ee")))
        if np.isfinite(value):
            return value
    elif not _NOT_FINITE.fullmatch(token):
        raise MoleculeError(f"{where}: {shown(token)} is not a number; write x, y and z in ångström.")
    raise MoleculeError(f"{where}: coordinate {shown(token)} is not finite; write x, y and z in ångström.")
