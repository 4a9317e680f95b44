"""Output files: refused before any work if they cannot be written, and never half-written.

A write that was killed leaves a file `.jqc-*.tmp` beside its target, which nothing reads.
"""

import hashlib
import json
import math
import os
import secrets
import stat
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from jqc.errors import InputError, refusal

TEMPORARY = ".jqc-*.tmp"

ABANDONED = 3600.0
"""Seconds after which a temporary file is nobody's: no write takes that long."""

uninterrupted = threading.Lock()
"""Held while a file is written; an interrupt that ends the process waits for it."""


def writable(path: Path) -> Path:
    """The file behind a path, links followed, which may be created or replaced.

    Raises:
        InputError: its folder does not exist or may not be written, or it is no file, or write-protected.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise InputError(f"{path} cannot be written (its folder does not exist); make that first.")
    with _complaining_about(path):
        try:
            mode = target.lstat().st_mode
        except FileNotFoundError:
            mode = None
        if mode is not None and not stat.S_ISREG(mode):
            raise InputError(f"{path} cannot be written (it is not a file); name a file.")
        if mode is not None and not os.access(target, os.W_OK):
            raise InputError(f"{path} cannot be written (it is write-protected); give another path.")
        # Permission bits do not tell of read-only file systems, an attempt does; this file has no name.
        tempfile.TemporaryFile(dir=target.parent).close()
    return target


def make_folder(path: Path) -> None:
    """Make a folder and those above it, unless they are there.

    Raises:
        InputError: it cannot be made.
    """
    with _complaining_about(path):
        path.mkdir(parents=True, exist_ok=True)


def read_toml(path: Path) -> dict[str, Any]:
    """Nested values of a TOML file.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({refusal(error)}); give a TOML file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no TOML file ({error}); correct it.") from None


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name in its folder, then rename it.

    Raises:
        InputError: the file cannot be written; an older one is left as it was.
    """
    with uninterrupted, replacing(path) as temporary, temporary.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # else a power cut may leave the name without the content


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name, in the folder of a file, for another file that takes its place at the end if nothing fails.

    Raises:
        InputError: the file cannot be written; an older one is left as it was.
    """
    temporary = path.parent / TEMPORARY.replace("*", secrets.token_hex(6))
    with _complaining_about(path):
        try:
            yield temporary
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


def remove_abandoned(folder: Path) -> None:
    """Delete what killed writers left in a folder; files that a live one may still be writing stay."""
    for path in folder.glob(TEMPORARY):
        with suppress(OSError):  # another process may have deleted it
            if time.time() - path.stat().st_mtime > ABANDONED:
                path.unlink()


def write_json(path: Path, numbers: Any) -> None:
    """Write numbers as JSON, atomically; what is infinite or undefined becomes null."""
    write_atomically(path, (json.dumps(finite(numbers), indent=2, allow_nan=False) + "\n").encode())


def finite(value: Any) -> Any:
    """The value as JSON can hold it: null where it is infinite or undefined.

    >>> finite({"loss": float("nan"), "step": 3})
    {'loss': None, 'step': 3}
    """
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def seal(content: Any) -> str:
    """SHA-256 of content that JSON has held, in hexadecimal; the order of keys does not matter.

    >>> seal({"a": 1, "b": None}) == seal({"b": None, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@contextmanager
def _complaining_about(path: Path) -> Iterator[None]:
    """Turn the system's refusal into one sentence."""
    try:
        yield
    except OSError as error:
        reason = refusal(error)
        raise InputError(f"{path} cannot be written ({reason}); free it or give another path.") from None
