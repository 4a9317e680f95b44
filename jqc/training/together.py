"""Where a run begins: the first process holds its folder, and all of a group go on from the same place."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jqc.errors import TrainingError
from jqc.group import from_first, leads
from jqc.training.folder import claimed, difference, resume
from jqc.training.records import Record
from jqc.training.run import Run, plain


@contextmanager
def held(folder: Path | None, described: dict[str, Any], run: Run, mesh: Mesh) -> Iterator[tuple[Run, list[Record]]]:
    """The run to go on with and its records, as long as its folder, if there is one, is held by the first process.

    Raises:
        TrainingError: the folder is in use, of another run or damaged, or another process of the group was given
            something else.
    """
    _refuse_others(described, mesh)
    with ExitStack() as stack:
        records = []
        if folder is not None and leads(mesh):
            stack.enter_context(claimed(folder, described))
            run, records = resume(folder, run)
        if mesh.is_multi_process:
            run, records = _first(run, mesh), json.loads(from_first(json.dumps(records).encode(), mesh))
        yield run, records


def _refuse_others(described: dict[str, Any], mesh: Mesh) -> None:
    """Refuse what is not the same in the first process, which would wait for this one in vain."""
    different = difference(described, json.loads(from_first(json.dumps(described).encode(), mesh)))
    if different:
        name, here, there = different
        raise TrainingError(f"process 0 trains with {name} = {there}, and this one with {here}; give all the same.")


def _first(run: Run, mesh: Mesh) -> Run:
    """The first process's run, bit for bit."""
    leaves, structure = jax.tree.flatten(jax.tree.map(np.asarray, run))
    content = memoryview(from_first(b"".join(leaf.tobytes() for leaf in leaves), mesh))
    ends = np.cumsum([leaf.nbytes for leaf in leaves])
    arrays = [
        np.frombuffer(content[end - leaf.nbytes : end], leaf.dtype).reshape(leaf.shape)
        for leaf, end in zip(leaves, ends, strict=True)
    ]
    return plain(jax.tree.unflatten(structure, arrays))
