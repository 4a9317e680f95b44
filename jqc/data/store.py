"""A folder of records: settings in `store.json`, a file `NAME.h5` for each record, `NAME.failed.json` for each failure.

A store knows nothing of what its records mean. Every file appears whole or not at all, so a job that was killed goes
on where it was, and several processes may write different records at once.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jqc.data.record import Plain, Record, from_file, to_bytes
from jqc.errors import StoreError, refusal
from jqc.files import make_folder, remove_abandoned, seal, write_atomically, write_json

FORMAT = 2
"""Version of the folder's layout; its settings are sealed."""

_FAILED = ".failed.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")


@dataclass(frozen=True)
class Store:
    """An open folder of records; `versions` lists, by package, every version that has opened it with settings.

    >>> import tempfile
    >>> store = open_store(tempfile.mkdtemp(), {"functional": "pbe"})
    >>> store.write("water", {"energy": (np.array(-76.3), "hartree")}, {"charge": 0})
    >>> store.names(), store.read("water").units
    (['water'], {'energy': 'hartree'})
    """

    folder: Path
    settings: dict[str, Any]
    versions: dict[str, list[str]]

    def write(
        self, name: str, arrays: Mapping[str, tuple[np.ndarray, str]], attributes: Mapping[str, Plain] | None = None
    ) -> None:
        """Write a record: arrays with their units, and attributes; an older one and a failure are replaced.

        Equal records make equal files, byte by byte.

        Raises:
            StoreError: a name, array, unit or attribute is of a kind that a file cannot hold.
            InputError: the file cannot be written.
        """
        write_atomically(self._path(name, ".h5"), to_bytes(name, arrays, attributes or {}))
        self._path(name, _FAILED).unlink(missing_ok=True)

    def fail(self, name: str, reason: str) -> None:
        """Note that a record could not be made, and why."""
        write_json(self._path(name, _FAILED), {"name": name, "reason": reason})

    def done(self, name: str) -> bool:
        """Whether the record is there; a failure is not."""
        return self._path(name, ".h5").exists()

    def names(self) -> list[str]:
        """Names of all records, sorted."""
        return sorted(path.stem for path in self.folder.glob("*.h5") if _NAME.fullmatch(path.stem))

    def failures(self) -> dict[str, str]:
        """Reasons by name, sorted, of records that could not be made and are not there.

        Raises:
            StoreError: a file is damaged, or cannot be read.
        """
        again = "delete it and run the job that wrote it again"
        noted = (_read_json(path, again) for path in sorted(self.folder.glob(f"*{_FAILED}")))
        reasons = {str(note.get("name")): str(note.get("reason")) for note in noted if note is not None}
        return {name: reason for name, reason in reasons.items() if not self.done(name)}

    def read(self, name: str, arrays: Iterable[str] | None = None) -> Record:
        """A record, or only some of its arrays, verified against its checksums.

        Raises:
            StoreError: the record is missing, damaged or changed, or lacks an array.
        """
        return from_file(self._path(name, ".h5"), name, arrays)

    def _path(self, name: str, suffix: str) -> Path:
        check_name(name)
        return self.folder / f"{name}{suffix}"


def check_name(name: str) -> None:
    """Refuse what cannot name a record.

    Raises:
        StoreError: other characters than letters, digits and . _ + -, or too many.
    """
    if not _NAME.fullmatch(name):
        raise StoreError(f"{name!r} cannot name a record; give up to 200 letters, digits and any of . _ + -.")


def open_store(
    folder: str | Path, settings: Mapping[str, Any] | None = None, versions: Mapping[str, str] | None = None
) -> Store:
    """Open a store; with `settings`, a flat JSON object, make it if it is not there.

    Versions other than those that wrote before are allowed; `Store.versions` then lists both.

    Raises:
        StoreError: there is no store and no settings are given, or records without one; it was made with other
            settings; its `store.json` is damaged, changed, or cannot be read.
        InputError: the folder cannot be written.
    """
    folder = Path(folder)
    path = folder / "store.json"
    given = None if settings is None else _as_json(settings)
    store = _found(path)
    if store is not None:
        _refuse_differences(path, store.settings, store.settings if given is None else given)
    elif any(folder.glob("*.h5")):
        raise StoreError(f"{folder} holds records but no store.json; put its own back, or give another folder.")
    elif given is None:
        raise StoreError(f"{folder} is no store, it has no store.json; run the job that makes it.")
    else:
        store = Store(folder, given, {})
        make_folder(folder)
    remove_abandoned(folder)
    return store if given is None else _noted(store, versions or {})


def _found(path: Path) -> Store | None:
    """The store that a `store.json` describes, if there is one."""
    restore = "put a copy of it back, or give another folder"
    found = _read_json(path, restore)
    if found is None:
        return None
    if found.get("format") != FORMAT:
        raise StoreError(f"{path} is not of format {FORMAT}; open it with the version of jqc that made it.")
    settings, versions = found.get("settings"), found.get("versions")
    if not isinstance(settings, dict) or not isinstance(versions, dict):
        raise StoreError(f"{path} is damaged; {restore}.")
    if found.get("seal") != _seal(settings):
        raise StoreError(f"{path} has been changed: its settings are not those of its records; {restore}.")
    return Store(path.parent, settings, versions)


def _seal(settings: dict[str, Any]) -> str:
    """Of what must never change; versions are added to."""
    return seal({"format": FORMAT, "settings": settings})


def _noted(store: Store, versions: Mapping[str, str]) -> Store:
    """The store with these versions among its own, in `store.json` too."""
    known = {package: store.versions.get(package, []) for package in {*store.versions, *versions}}
    added = {package: [version] for package, version in versions.items() if version not in known[package]}
    noted = Store(store.folder, store.settings, {key: known[key] + added.get(key, []) for key in sorted(known)})
    path = store.folder / "store.json"
    if noted != store or not path.exists():
        content = {"format": FORMAT, "settings": noted.settings, "versions": noted.versions}
        write_json(path, content | {"seal": _seal(noted.settings)})
    return noted


def _refuse_differences(path: Path, made: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    pairs = ((key, json.dumps(made.get(key)), json.dumps(given.get(key))) for key in sorted({*made, *given}))
    differing = [f"{key} {there} there, {here} here" for key, there, here in pairs if there != here]
    if differing:
        raise StoreError(f"{path} was made with other settings ({'; '.join(differing)}); use those or another folder.")


def _as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they are read back."""
    try:
        return json.loads(json.dumps(dict(sorted(settings.items())), allow_nan=False))
    except (TypeError, ValueError):
        raise StoreError("Settings hold what JSON cannot; give texts, finite numbers, True, False and None.") from None


def _read_json(path: Path, remedy: str) -> dict[str, Any] | None:
    """The JSON object in a file, None where there is no file; the remedy is what helps against damage."""
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({refusal(error)}); make it readable.") from None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise StoreError(f"{path} is damaged; {remedy}.")
    return found
