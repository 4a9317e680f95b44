"""One record as the content of one HDF5 file: named arrays with units, attributes, and a checksum of all of it.

The file begins with a line that holds the SHA-256 of everything behind it; HDF5 calls that place the user block and
leaves it alone. So damage is found before any of it is interpreted. Equal records make equal files, byte by byte.
"""

import hashlib
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from jqc.errors import StoreError, refusal

if TYPE_CHECKING:
    import h5py

FORMAT = 1
"""Version of the file's layout."""

Plain = str | bool | int | float

_BLOCK = 512  # bytes; HDF5's smallest user block
_OWN_NAME = "_record"  # the attribute with the record's name; none of the caller's begins like this
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_KINDS = "biufc"
_WIDEST = {"f": 8, "c": 16}  # bytes; a long double has bytes that mean nothing


@dataclass(frozen=True)
class Record:
    """Arrays, their units and plain attributes, by name."""

    arrays: dict[str, np.ndarray]
    units: dict[str, str]
    attributes: dict[str, Plain]


def to_bytes(name: str, arrays: Mapping[str, tuple[np.ndarray, str]], attributes: Mapping[str, Plain]) -> bytes:
    """Content of the file of a record.

    Raises:
        StoreError: a name, array, unit or attribute is of a kind that the file cannot hold.
    """
    import h5py

    memory = io.BytesIO()
    with h5py.File(memory, "w", userblock_size=_BLOCK) as file:
        for key in sorted(arrays):
            array, unit = arrays[key]
            dataset = file.create_dataset(key, data=_storable(key, array), track_times=False)
            dataset.attrs["unit"] = _plain("unit", unit)
        file.attrs.update({_OWN_NAME: name} | {key: _plain(key, attributes[key]) for key in sorted(attributes)})
    content = memory.getvalue()[_BLOCK:]
    return _head(hashlib.sha256(content).hexdigest()) + content


def check_attributes(attributes: Mapping[str, Plain]) -> None:
    """Refuse attributes that a file cannot hold, before there is anything to write.

    Raises:
        StoreError: a name or a value is of a kind that the file cannot hold.
    """
    for key, value in attributes.items():
        _plain(key, value)


def from_file(path: Path, name: str, wanted: Iterable[str] | None = None) -> Record:
    """The record in a file, or the wanted arrays of it, verified.

    Raises:
        StoreError: the file is missing, damaged, changed or not of this record, or lacks a wanted array.
    """
    import h5py

    try:
        raw = path.open("rb")
    except OSError as error:
        reason = refusal(error)
        raise StoreError(f"{path} cannot be read ({reason}); run the job that writes it.") from None
    with raw:
        head = raw.read(_BLOCK)
        if head != _head(hashlib.file_digest(raw, "sha256").hexdigest()):
            raise StoreError(f"{path} is damaged or is no record; delete it and run the job that wrote it again.")
        with h5py.File(raw, "r") as file:
            return _read(file, path, name, wanted)


def _head(checksum: str) -> bytes:
    """The user block."""
    return f"jqc record {FORMAT} sha256 {checksum}\n".encode().ljust(_BLOCK, b"\0")


def _read(file: "h5py.File", path: Path, name: str, wanted: Iterable[str] | None) -> Record:
    if file.attrs[_OWN_NAME] != name:
        raise StoreError(f"{path} is the record {file.attrs[_OWN_NAME]!r}; give it its own name again.")
    arrays, units = {}, {}
    for key in file if wanted is None else wanted:
        if key not in file:
            raise StoreError(f"{path} has no array {key!r}; ask for one of {', '.join(file)}.")
        dataset = cast("h5py.Dataset", file[key])
        arrays[key], units[key] = np.asarray(dataset[()]), str(dataset.attrs["unit"])
    return Record(arrays, units, {key: _plain(key, value) for key, value in file.attrs.items() if key != _OWN_NAME})


def _storable(key: str, array: np.ndarray) -> np.ndarray:
    """The array in little-endian order."""
    _check_name(key)
    array = np.asarray(array)
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind not in _KINDS or size > _WIDEST.get(kind, size):
        raise StoreError(f"Array {key!r} has type {array.dtype}; give real, complex, integer or boolean numbers.")
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def _plain(key: str, value: Plain | np.generic) -> Plain:
    """The value as Python's own type, if a file gives it back as it is."""
    _check_name(key)
    native = value.item() if isinstance(value, np.generic) else value
    fits = isinstance(native, bool | float) or (isinstance(native, int) and -(2**63) <= native < 2**63)
    if not fits and not (isinstance(native, str) and "\0" not in native and _is_unicode(native)):
        raise StoreError(f"Attribute {key!r} is {value!r}; give a text, a number that fits 64 bits, or True or False.")
    return native


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_name(key: str) -> None:
    if not _NAME.fullmatch(key):
        raise StoreError(f"{key!r} cannot name an array or attribute; give letters, digits and _, a letter first.")
