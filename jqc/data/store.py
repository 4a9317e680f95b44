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
from jqc.errors import StoreError
from jqc.files import make_folder, remove_abandoned, write_atomically, write_json

FORMAT = 1
"""Version of the folder's layout."""

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
            StoreError: a file is damaged.
        """
        noted = (_read_json(path) for path in sorted(self.folder.glob(f"*{_FAILED}")))
        reasons = {str(note.get("name")): str(note.get("reason")) for note in noted}
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
        StoreError: there is no store and no settings are given, it was made with other settings, or its
            `store.json` is damaged.
        InputError: the folder cannot be written.
    """
    folder = Path(folder)
    path = folder / "store.json"
    given = None if settings is None else _as_json(settings)
    if path.exists():
        found = _read_json(path)
        if found.get("format") != FORMAT or not all(
            isinstance(found.get(key), dict) for key in ("settings", "versions")
        ):
            raise StoreError(f"{path} is not of format {FORMAT}; open it with the version of jqc that made it.")
        store = Store(folder, found["settings"], found["versions"])
        _refuse_differences(path, store.settings, store.settings if given is None else given)
    elif given is None:
        raise StoreError(f"{folder} is no store, it has no store.json; run the job that makes it.")
    else:
        store = Store(folder, given, {})
        make_folder(folder)
    remove_abandoned(folder)
    return store if given is None else _noted(store, versions or {})


def _noted(store: Store, versions: Mapping[str, str]) -> Store:
    """The store with these versions among its own, in `store.json` too."""
    known = {package: store.versions.get(package, []) for package in {*store.versions, *versions}}
    added = {package: [version] for package, version in versions.items() if version not in known[package]}
    noted = Store(store.folder, store.settings, {key: known[key] + added.get(key, []) for key in sorted(known)})
    path = store.folder / "store.json"
    if noted != store or not path.exists():
        write_json(path, {"format": FORMAT, "settings": noted.settings, "versions": noted.versions})
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


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise StoreError(f"{path} cannot be read or is damaged; delete it and run the job that wrote it again.")
    return found
