"""Checkpoints: a pytree of arrays in a folder of its own, named by the step, written and renamed by orbax.

Arrays are stored under their paths in the pytree, with a checksum over all of them, since the format does not notice a
flipped bit. A folder under its final name is complete. orbax is imported when a checkpoint is written or read.
"""

import os
import re
import shutil
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jqc.errors import TrainingError, refusal
from jqc.training.records import unwritable

if TYPE_CHECKING:
    import orbax.checkpoint

KEPT = 2
"""How many are kept, so that one remains where the last is lost."""

CHECKSUM = "crc32"
LEFTOVER = ".tmp"

_COMPLETE = re.compile("[0-9]{10}")
_HALF = re.compile(rf"[0-9]{{10}}({re.escape(LEFTOVER)}|\.orbax-checkpoint-tmp.*)")  # the latter is orbax's own name


def save(folder: Path, step: int, tree: Any) -> None:
    """Write the checkpoint of a step, unless it is there, then delete all but the last ones.

    Raises:
        TrainingError: it cannot be written.
    """
    path = folder / f"{step:010d}"
    try:
        if not path.exists():
            arrays = _named(tree)
            # A checkpointer for each writing: its threads end with it.
            with _checkpointer() as checkpointer:
                checkpointer.save(path.absolute(), arrays | {CHECKSUM: _checksum(arrays)})
        tidy(folder)
    except Exception as error:
        if refused := _refused(error):
            raise unwritable(path, refused) from None
        raise


def complete(folder: Path) -> list[Path]:
    """Checkpoints of a folder, oldest first."""
    return sorted(path for path in folder.glob("*") if _COMPLETE.fullmatch(path.name))


def tidy(folder: Path) -> None:
    """Delete checkpoints before the last ones, and those that a kill has left half-written or half-deleted."""
    for old in complete(folder)[:-KEPT]:
        os.replace(old, old.with_name(old.name + LEFTOVER))
    for path in folder.glob("*"):
        if _HALF.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


def restore(path: Path, like: Any) -> Any:
    """The tree of a checkpoint, as numpy arrays in the structure of `like`.

    Raises:
        TrainingError: the checkpoint is damaged, cannot be read, or holds other arrays than `like`.
    """
    try:
        with _checkpointer() as checkpointer:
            arrays = {name: np.asarray(value) for name, value in checkpointer.restore(path.absolute()).items()}
        checksum = arrays.pop(CHECKSUM)
    except Exception as error:  # orbax meets a damaged checkpoint with errors of many kinds
        refused = _refused(error)
        if refused is None or isinstance(refused, FileNotFoundError):
            raise _damaged(path) from None
        reason = refusal(refused)
        raise TrainingError(f"{path} cannot be read ({reason}); make it readable, and the run goes on.") from None
    expected = _named(like)
    for name in sorted(expected.keys() | arrays.keys()):
        here, there = (_form(some[name]) if name in some else "missing" for some in (expected, arrays))
        if here != there:
            raise TrainingError(f"{path} holds {name} as {there}, and {here} is needed; use another folder.")
    arrays = {name: arrays[name] for name in expected}
    if checksum != _checksum(arrays):
        raise _damaged(path)
    return jax.tree.unflatten(jax.tree.structure(like), arrays.values())


def _checkpointer() -> "orbax.checkpoint.Checkpointer":
    """One of this process alone: by itself orbax has all processes of a group write together."""
    import orbax.checkpoint

    own = jax.process_index()
    alone = orbax.checkpoint.options.MultiprocessingOptions(primary_host=own, active_processes={own})
    handler = orbax.checkpoint.PyTreeCheckpointHandler(multiprocessing_options=alone)
    return orbax.checkpoint.Checkpointer(handler, multiprocessing_options=alone)


def _damaged(path: Path) -> TrainingError:
    earlier = complete(path.parent)[0] < path
    how = "goes on from the checkpoint before it" if earlier else "begins anew, for there is none before it"
    return TrainingError(f"{path} is damaged; delete it, and the run {how}.")


def _refused(error: Exception) -> OSError | None:
    """The system's refusal behind an error, if there is one; tensorstore tells its number in the text of another."""
    if isinstance(error, OSError):
        return error if error.errno else None
    number = re.search(r"os_error_code='(\d+)'", str(error))
    return OSError(int(number[1]), os.strerror(int(number[1]))) if number else None


def _named(tree: Any) -> dict[str, np.ndarray]:
    return {jax.tree_util.keystr(at): np.asarray(leaf) for at, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _form(array: np.ndarray) -> str:
    return f"{array.dtype}{list(array.shape)}"


def _checksum(arrays: dict[str, np.ndarray]) -> np.ndarray:
    value = 0
    for array in arrays.values():
        value = zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data, value)
    return np.asarray(value, np.uint32)
