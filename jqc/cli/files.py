"""Output files: refused before any work if they cannot be written, and never half-written."""

import json
import math
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from jqc.cli.interrupt import uninterrupted
from jqc.errors import InputError


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


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name in its folder, then rename it.

    Raises:
        InputError: the file cannot be written; an older one is left as it was.
    """
    temporary = path.parent / f".jqc-{secrets.token_hex(6)}.tmp"
    with uninterrupted, _complaining_about(path):
        try:
            temporary.write_bytes(content)
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


def write_json(path: Path, numbers: Any) -> None:
    """Write numbers as JSON, atomically; what is infinite or undefined becomes null."""
    write_atomically(path, (json.dumps(_finite(numbers), indent=2, allow_nan=False) + "\n").encode())


def _finite(value: Any) -> Any:
    """JSON has no infinity and no NaN."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def _complaining_about(path: Path) -> Iterator[None]:
    """Turn the system's refusal into one sentence."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputError(f"{path} cannot be written ({reason}); free it or give another path.") from None
