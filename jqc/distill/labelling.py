"""A store of labels: one task for every frame, in classes of molecules that share compiled programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jqc.data.store import open_store
from jqc.distill.labels import LabelSettings, label
from jqc.errors import BasisError, InputError
from jqc.system import Molecule
from jqc.system.lengths import Lengths, classes, lengths_needed, shared_lengths
from jqc.system.molecule import read_frames


@dataclass(frozen=True)
class Frame:
    """A molecule to label; `info` is what its file's comment line says of it."""

    name: str
    molecule: Molecule
    info: dict[str, str]


@dataclass(frozen=True)
class LabelTask:
    """A frame, where its label goes, and the array lengths of its class."""

    frame: Frame
    folder: Path
    settings: LabelSettings
    room: Lengths | None = None

    @property
    def name(self) -> str:
        """The record's name."""
        return self.frame.name


def frames_in(files: Sequence[Path]) -> list[Frame]:
    """Every frame of every file, named by file and place.

    Raises:
        MoleculeError: a file cannot be read, or a frame describes no molecule.
        InputError: two files have one name, or there is no frame at all.
    """
    found: dict[str, Frame] = {}
    for path in files:
        for place, (molecule, info) in enumerate(read_frames(path)):
            name = f"{path.stem}-{place:05d}"
            if name in found:
                raise InputError(f"{path} has the name of another file; rename it, records are named after files.")
            found[name] = Frame(name, molecule, info)
    if not found:
        raise InputError("the files hold no molecule; give XYZ files with at least one frame.")
    return list(found.values())


def plan(frames: Sequence[Frame], folder: Path, settings: LabelSettings) -> list[LabelTask]:
    """Tasks in order of size; the array lengths of a class depend on all frames, not on which are done.

    A frame that the basis has no functions for comes last, without a class, and fails on its own.
    """
    sizes = _orbitals(frames, settings)
    fit = [frame for frame, size in zip(frames, sizes, strict=True) if size]
    tasks = []
    for members in classes([size for size in sizes if size]):
        inside = [fit[index] for index in members]
        molecules = [frame.molecule for frame in inside]
        room = shared_lengths(molecules, settings.basis, settings.aux_basis, settings.grid_level)
        tasks += [LabelTask(frame, folder, settings, room) for frame in inside]
    return tasks + [LabelTask(frame, folder, settings) for frame, size in zip(frames, sizes, strict=True) if not size]


def _orbitals(frames: Sequence[Frame], settings: LabelSettings) -> list[int]:
    """Padded orbitals of every frame, zero where the basis lacks an element; found once for each formula."""
    found: dict[tuple[int, ...], int] = {}
    formulas = [tuple(sorted(np.asarray(frame.molecule.numbers).tolist())) for frame in frames]
    for formula, frame in zip(formulas, frames, strict=True):
        if formula not in found:
            try:
                found[formula] = lengths_needed(frame.molecule, settings.basis, settings.aux_basis).orbitals
            except BasisError:
                found[formula] = 0
    if not any(found.values()):
        lengths_needed(frames[0].molecule, settings.basis, settings.aux_basis)
    return [found[formula] for formula in formulas]


def run_task(task: LabelTask) -> None:
    """Label one frame into its store.

    Raises:
        ConvergenceError: the SCF does not converge.
        InputError: the molecule cannot be computed as the settings ask.
    """
    frame = task.frame
    arrays = label(frame.molecule, frame.name, task.settings, task.room)
    attributes = {"charge": frame.molecule.charge, "spin": frame.molecule.spin, **frame.info}
    open_store(task.folder).write(frame.name, arrays, attributes)
