"""Named arrays in one .npz file, written as a whole or not at all, and checked when they are read; nothing unpickled.

A sealed file has a header of JSON beside its arrays; `sha256` in it is of the arrays, `seal` of all that it says.
"""

import hashlib
import io
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jqc.errors import InputError, StoreError, refusal
from jqc.files import seal, write_atomically

HEADER = "header"

Arrays = dict[str, np.ndarray]


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write arrays by name.

    Raises:
        InputError: the file cannot be written; an older one is left as it was.
    """
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)  # pyright: ignore[reportArgumentType]
    write_atomically(path, content.getvalue())


def read_arrays(path: Path, what: str = "file of arrays", error: type[InputError] = StoreError) -> Arrays:
    """Arrays by name.

    Raises:
        error: no file, or one that is damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as refused:
        raise error(f"{path} cannot be read ({refusal(refused)}); give a {what}.") from None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception:  # damaged archives end in errors of many kinds
        raise error(f"{path} holds no {what} or is damaged; save or copy it again.") from None


def write_sealed(path: Path, form: int, header: dict[str, Any], arrays: Arrays) -> None:
    """Write arrays with a header, which says what format they have.

    Raises:
        InputError: JSON cannot hold the header, or the file cannot be written; an older one is left as it was.
    """
    try:
        header = json.loads(json.dumps({"format": form, **header, "sha256": _hash(arrays)}, allow_nan=False))
    except (TypeError, ValueError) as refused:
        raise InputError(f"the provenance cannot be written as JSON ({refused}); give text and numbers.") from None
    text = json.dumps(header | {"seal": seal(header)})
    write_arrays(path, {HEADER: np.array(text), **arrays})


def read_sealed(
    path: Path, form: int, keys: Collection[str], what: str, error: type[InputError]
) -> tuple[dict[str, Any], Arrays]:
    """Header and arrays of a file, whole and as they were written.

    Raises:
        error: no such file, a damaged one, one of another format, or without some of the keys in its header.
    """
    arrays = read_arrays(path, what, error)
    try:
        header = json.loads(str(arrays.pop(HEADER)))
        version = header["format"]
    except Exception:  # no header, or one that is no JSON, or nested without end
        raise error(f"{path} holds no {what} or is damaged; save or copy it again.") from None
    if version != form:
        raise error(f"{path} has format {version}, but {form} is read; use the jqc that wrote it.")
    if missing := {*keys, "sha256", "seal"} - header.keys():
        raise error(f"{path} lacks its {', '.join(sorted(missing))}; save the {what} again.")
    if header.pop("seal") != seal(header) or header["sha256"] != _hash(arrays):
        raise error(f"{path} does not hold what was saved (its hash differs); save or copy it again.")
    return header, arrays


def named_leaves(tree: Any) -> dict[str, Any]:
    """Leaves of nested dicts by their path, such as params/exchange_net/Dense_0/kernel, in the pytree's order."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {"/".join(str(key.key) for key in path): leaf for path, leaf in leaves}


def as_tree(path: Path, arrays: Arrays, like: Any, what: str, error: type[InputError]) -> Any:
    """The arrays of a file in the structure of a tree, whose leaves have shapes.

    Raises:
        error: the file has other arrays than `what` does.
    """
    expected = {name: leaf.shape for name, leaf in named_leaves(like).items()}
    for name in sorted(expected.keys() | arrays.keys()):
        here, there = arrays[name].shape if name in arrays else None, expected.get(name)
        if here != there:
            raise error(f"{path} has {_words(here)} for {name}, but {what} has {_words(there)}; save it again.")
    return jax.tree.unflatten(jax.tree.structure(like), [jax.numpy.asarray(arrays[name]) for name in expected])


def _hash(arrays: Arrays) -> str:
    """Of names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _words(shape: tuple[int, ...] | None) -> str:
    return "no array" if shape is None else f"shape {tuple(shape)}"
