"""Trajectories on disk: a folder with a file for each chunk of frames, none of which is ever changed.

A process that is killed loses no frame that it has written, and `jqc.md.convert` makes other programs' files of them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jqc.archive import read_arrays, write_arrays
from jqc.errors import InputError, StoreError
from jqc.files import make_folder, remove_abandoned
from jqc.md.step import Frames
from jqc.typing import Float, Int

_SUBJECT, _CHUNKS = "subject.npz", "frames-*.npz"
_PROPERTY = "property "
"""What names of properties begin with in a file."""


@dataclass(frozen=True)
class Subject:
    """What moves: atomic numbers, zero for what is no atom, masses, and the time step."""

    numbers: Int[np.ndarray, "atom"]
    masses: Float[np.ndarray, "atom"]
    dt: float


@dataclass(frozen=True)
class Trajectory:
    """A subject and its frames."""

    subject: Subject
    frames: Frames

    @property
    def times(self) -> Float[np.ndarray, "frame"]:
        """Times of the frames."""
        return np.asarray(self.frames.step) * self.subject.dt

    @property
    def interval(self) -> float:
        """Time from one frame to the next.

        Raises:
            InputError: fewer than two frames, or frames that are not evenly apart.
        """
        steps = np.diff(np.asarray(self.frames.step))
        if not steps.size or (steps != steps[0]).any():
            raise InputError("frames are too few or not evenly apart; give two or more, evenly spaced.")
        return float(steps[0] * self.subject.dt)


def create(folder: Path, subject: Subject) -> None:
    """Make a folder for the frames of a subject.

    Raises:
        InputError: there is a trajectory already, or it cannot be written.
    """
    if (folder / _SUBJECT).exists():
        raise InputError(f"{folder} holds a trajectory; go on with it, or give another folder.")
    make_folder(folder)
    write_arrays(
        folder / _SUBJECT,
        {
            "numbers": np.asarray(subject.numbers),
            "masses": np.asarray(subject.masses),
            "dt": np.asarray(subject.dt),
        },
    )


def append(folder: Path, frames: Frames) -> None:
    """Add frames that come after those that are there.

    Raises:
        InputError: they cannot be written; those before stay.
    """
    if len(frames.step):
        write_arrays(folder / _CHUNKS.replace("*", f"{int(frames.step[-1]):012d}"), _named(frames))


def cut(folder: Path, step: int) -> None:
    """Drop frames after a step, which a simulation that goes on from there will make again.

    Raises:
        StoreError: no trajectory, or a damaged one.
    """
    remove_abandoned(folder)
    for path in sorted(folder.glob(_CHUNKS)):
        frames = _frames(path)
        kept = int(np.searchsorted(frames.step, step, side="right"))
        if kept == len(frames.step):
            continue
        append(folder, jax.tree.map(lambda each, kept=kept: each[:kept], frames))
        path.unlink()


def read(folder: Path) -> Trajectory:
    """A whole trajectory.

    Raises:
        StoreError: no trajectory, one without frames, or a damaged one.
    """
    if not (folder / _SUBJECT).is_file():
        raise StoreError(f"{folder} holds no trajectory; give the folder of one.")
    held = read_arrays(folder / _SUBJECT)
    try:
        subject = Subject(held["numbers"], held["masses"], float(held["dt"]))
    except KeyError:
        raise StoreError(f"{folder / _SUBJECT} is damaged, or holds something else; it cannot be used.") from None
    chunks = [_frames(path) for path in sorted(folder.glob(_CHUNKS))]
    if not chunks:
        raise StoreError(f"{folder} holds a trajectory without frames; simulate first.")
    try:
        return Trajectory(subject, jax.tree.map(lambda *each: np.concatenate(each), *chunks))
    except ValueError:
        raise StoreError(f"{folder} holds frames of different things; it cannot be used.") from None


def _named(frames: Frames) -> dict[str, np.ndarray]:
    """Arrays by name, those of properties marked."""
    found: dict[str, Any] = {
        name: getattr(frames, name) for name in Frames.__dataclass_fields__ if name != "properties"
    }
    found |= {f"{_PROPERTY}{name}": array for name, array in frames.properties.items()}
    return {name: np.asarray(array) for name, array in found.items() if array is not None}


def _frames(path: Path) -> Frames:
    held: dict[str, Any] = dict.fromkeys(("cell", "pressure")) | read_arrays(path)
    properties = {name.removeprefix(_PROPERTY): held.pop(name) for name in list(held) if name.startswith(_PROPERTY)}
    try:
        return Frames(**held, properties=properties)
    except TypeError:
        raise StoreError(f"{path} is damaged, or holds something else; it cannot be used.") from None
