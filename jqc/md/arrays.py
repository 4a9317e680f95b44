"""Named arrays in one file, written as a whole or not at all, and checked when they are read."""

import io
import zipfile
import zlib
from pathlib import Path

import numpy as np

from jqc.errors import StoreError, refusal
from jqc.files import write_atomically


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays by name.

    Raises:
        InputError: the file cannot be written; an older one is left as it was.
    """
    content = io.BytesIO()
    np.savez(content, **arrays)  # pyright: ignore[reportArgumentType]
    write_atomically(path, content.getvalue())


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Arrays by name.

    Raises:
        StoreError: no file, or one that is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, KeyError, AttributeError):
        raise StoreError(f"{path} is damaged, or holds something else; it cannot be used.") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({refusal(error)}).") from None
