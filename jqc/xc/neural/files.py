"""Learned functionals in files: the parameters' arrays, sealed, with the architecture's name and options."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from jqc.archive import Arrays, as_tree, named_leaves, read_sealed, write_sealed
from jqc.errors import FunctionalError
from jqc.xc.neural.architectures import ARCHITECTURES, create, module, options_of
from jqc.xc.neural.learned import Learned

FORMAT = 2
"""Version of the header; a reader knows its own only."""


def save(path: str | Path, functional: Learned, provenance: dict[str, Any]) -> None:
    """Write a functional, atomically; an older file stays as it was if this fails.

    Parameters
    ----------
    path
        Ends in .npz.
    functional
        Of one of the architectures in `ARCHITECTURES`.
    provenance
        Where the parameters come from, anything that JSON can hold.

    Raises
    ------
    FunctionalError
        A functional of another architecture, or a path that does not end in .npz.
    InputError
        A provenance that JSON cannot hold, or a file that cannot be written.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise FunctionalError(f"{path} does not end in .npz, by which functionals are found; rename it.")
    names = [name for name, kind in ARCHITECTURES.items() if type(functional.model) is kind]
    if not names:
        raise FunctionalError(
            f"{functional.name} is none of the architectures {', '.join(ARCHITECTURES)}; save its parameters yourself."
        )
    arrays = {name: np.asarray(leaf) for name, leaf in named_leaves(functional.parameters).items()}
    header = {"architecture": names[0], "options": options_of(functional.model), "provenance": provenance}
    write_sealed(path, FORMAT, header, arrays)


def load(path: str | Path) -> Learned:
    """The functional that `save` wrote.

    Raises
    ------
    FunctionalError
        No such file, a damaged one, one of another format, or one whose arrays are not those of its architecture.
    """
    path = Path(path)
    header, arrays = _read(path)
    try:
        model = module(header["architecture"], header["options"])
        like = jax.eval_shape(lambda: create(header["architecture"], jax.random.key(0), **header["options"]).parameters)
    except FunctionalError as error:
        raise FunctionalError(f"{path} needs another version of jqc ({str(error).rstrip('.')}).") from None
    what = f"{header['architecture']} with its options"
    return Learned(as_tree(path, arrays, like, what, FunctionalError), model)


def read_provenance(path: str | Path) -> dict[str, Any]:
    """Where the parameters of a file come from, as `save` was told.

    Raises
    ------
    FunctionalError
        No such file, or one that `save` did not write.
    """
    return _read(Path(path))[0]["provenance"]


def _read(path: Path) -> tuple[dict[str, Any], Arrays]:
    keys = ("architecture", "options", "provenance")
    return read_sealed(path, FORMAT, keys, "learned functional", FunctionalError)
