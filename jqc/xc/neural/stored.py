"""From a path, or the name of shipped weights, to a learned functional; nothing is read before it is asked for."""

import os
from functools import lru_cache
from pathlib import Path

from jqc.errors import FunctionalError, refusal
from jqc.xc.base import Functional
from jqc.xc.names import key

PREFIX = "jqc-"
"""Begins the names of shipped weights: jqc-xcdiff is weights/xcdiff.npz."""

WEIGHTS = Path(__file__).parent / "weights"
RUN_FILE = "functional.npz"
"""What a training run leaves in its folder."""


def shipped() -> tuple[str, ...]:
    """Names of the weights that the package holds."""
    return tuple(sorted(PREFIX + path.stem for path in WEIGHTS.glob("*.npz")))


def stored(text: str) -> Functional | None:
    """The functional in the file, the run's folder or the shipped weights that a text names; None for other texts.

    Raises
    ------
    FunctionalError
        A path or a name of shipped weights behind which there is no functional.
    """
    path = file_of(text)
    return None if path is None else _load(path)


def file_of(text: str) -> Path | None:
    """The file that `stored` reads, whether it is there or not.

    Raises
    ------
    FunctionalError
        A name of weights that the package does not ship.
    """
    path, weights = _path(text.strip()), {key(name): name for name in shipped()}
    if not text.strip():
        return None
    if key(text) in weights:
        return WEIGHTS / f"{weights[key(text)].removeprefix(PREFIX)}.npz"
    if os.path.isfile(path / RUN_FILE):  # no for texts that cannot be paths, where Path.is_file has an error
        return path / RUN_FILE
    if path.suffix == ".npz" or "/" in text:
        return path
    if key(text).startswith(key(PREFIX)):
        held = f"there are {', '.join(weights.values())}" if weights else "train one and give its file"
        raise FunctionalError(f'the package ships no weights under the name "{text}"; {held}.')
    return None


def _path(text: str) -> Path:
    """The path, with ~ for a home where there is such a user."""
    try:
        return Path(text).expanduser()
    except (RuntimeError, ValueError):
        return Path(text)


def _load(path: Path) -> Functional:
    """What the file holds, read again only when it has changed."""
    if os.path.isdir(path):
        raise FunctionalError(f"{path} holds no {RUN_FILE}; give the folder of a training run that has one.")
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = refusal(error) if isinstance(error, OSError) else "no path has such characters"
        raise FunctionalError(f"{path} cannot be read ({reason}); give a file of a learned functional.") from None
    return _loaded(path.resolve(), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _loaded(path: Path, changed: int, size: int) -> Functional:
    from jqc.xc.neural.files import load  # closed forms alone need no network library

    return load(path)
