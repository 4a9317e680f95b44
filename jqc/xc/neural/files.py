"""Learned functionals in files: one .npz of arrays with a JSON header, both checked by hashes, nothing unpickled.

`sha256` is of the arrays, `seal` of all that the header says, `sha256` included.
"""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jqc.errors import FunctionalError, refusal
from jqc.files import seal, write_atomically
from jqc.xc.neural.architectures import ARCHITECTURES, create, module, options_of
from jqc.xc.neural.learned import Learned

FORMAT = 2
"""Version of the header; a reader knows its own only."""

HEADER = "header"


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
        A functional of another architecture, a provenance that JSON cannot hold, or a path that does not end in .npz.
    InputError
        The file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise FunctionalError(f"{path} does not end in .npz, by which functionals are found; rename it.")
    names = [name for name, kind in ARCHITECTURES.items() if type(functional.model) is kind]
    if not names:
        raise FunctionalError(
            f"{functional.name} is none of the architectures {', '.join(ARCHITECTURES)}; save its parameters yourself."
        )
    arrays = _arrays(functional.parameters)
    header = {
        "format": FORMAT,
        "architecture": names[0],
        "options": options_of(functional.model),
        "provenance": provenance,
        "sha256": _hash(arrays),
    }
    try:
        header = json.loads(json.dumps(header, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise FunctionalError(f"the provenance cannot be written as JSON ({error}); give text and numbers.") from None
    text = json.dumps(header | {"seal": seal(header)})
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **{HEADER: np.array(text)}, **arrays)
    write_atomically(path, content.getvalue())


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
    expected = {name: leaf.shape for name, leaf in _named(like).items()}
    for name in sorted(expected.keys() | arrays.keys()):
        here, there = (shapes.get(name) for shapes in ({k: a.shape for k, a in arrays.items()}, expected))
        if here != there:
            raise FunctionalError(
                f"{path} has {_words(here)} for {name}, but {header['architecture']} with its options has "
                f"{_words(there)}; save the functional again."
            )
    leaves = [jax.numpy.asarray(arrays[name]) for name in _named(like)]
    return Learned(jax.tree.unflatten(jax.tree.structure(like), leaves), model)


def read_provenance(path: str | Path) -> dict[str, Any]:
    """Where the parameters of a file come from, as `save` was told.

    Raises
    ------
    FunctionalError
        No such file, or one that `save` did not write.
    """
    return _read(Path(path))[0]["provenance"]


def _named(parameters: Any) -> dict[str, Any]:
    """Leaves by their path, such as params/exchange_net/Dense_0/kernel, in the pytree's order."""
    leaves = jax.tree_util.tree_leaves_with_path(parameters)
    return {"/".join(str(key.key) for key in path): leaf for path, leaf in leaves}


def _arrays(parameters: Any) -> dict[str, np.ndarray]:
    return {name: np.asarray(leaf) for name, leaf in _named(parameters).items()}


def _hash(arrays: dict[str, np.ndarray]) -> str:
    """Of names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays of a file, whole and as they were written."""
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = refusal(error)
        raise FunctionalError(f"{path} cannot be read ({reason}); give a file of a learned functional.") from None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(str(arrays.pop(HEADER)))
        version = header["format"]
    except Exception:  # damaged archives end in errors of many kinds
        raise FunctionalError(f"{path} holds no learned functional or is damaged; save or copy it again.") from None
    if version != FORMAT:
        raise FunctionalError(f"{path} has format {version}, but {FORMAT} is read; use the jqc that wrote it.")
    if missing := {"architecture", "options", "provenance", "sha256", "seal"} - header.keys():
        raise FunctionalError(f"{path} lacks its {', '.join(sorted(missing))}; save the functional again.")
    if header.pop("seal") != seal(header) or header["sha256"] != _hash(arrays):
        raise FunctionalError(f"{path} does not hold what was saved (its hash differs); save or copy it again.")
    return header, arrays


def _words(shape: tuple[int, ...] | None) -> str:
    return "no array" if shape is None else f"shape {tuple(shape)}"
