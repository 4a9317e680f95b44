"""A store of labels: one task for every frame, in classes of molecules that share compiled programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jqc.data.record import check_attributes
from jqc.data.store import Store, check_name, open_store
from jqc.distill.labels import LabelSettings, label
from jqc.errors import InputError, StoreError
from jqc.system import Molecule, size_classes
from jqc.system.lengths import Lengths
from jqc.system.molecule import read_frames


@dataclass(frozen=True)
class Frame:
    """A molecule to label; `info` is what its file's comment line says of it."""

    name: str
    molecule: Molecule
    info: dict[str, str]

    @property
    def attributes(self) -> dict[str, str | int]:
        """What the label's record says of the molecule."""
        return {"charge": self.molecule.charge, "spin": self.molecule.spin, **self.info}


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
        InputError: two files have one name, there is no frame at all, or a name or comment cannot be stored.
    """
    found: dict[str, Frame] = {}
    for path in files:
        for place, (molecule, info) in enumerate(read_frames(path)):
            name = f"{path.stem}-{place:05d}"
            if name in found:
                raise InputError(f"{path} has the name of another file; rename it, records are named after files.")
            found[name] = Frame(name, molecule, info)
            _refuse_what_no_store_holds(path, found[name])
    if not found:
        raise InputError("the files hold no molecule; give XYZ files with at least one frame.")
    return list(found.values())


def _refuse_what_no_store_holds(path: Path, frame: Frame) -> None:
    try:
        check_name(frame.name)
        check_attributes(frame.attributes)
    except StoreError as error:
        raise InputError(f"{path}: {error}") from None


def refuse_others(store: Store, frames: Sequence[Frame]) -> None:
    """Check that labels which are there are of these frames, and not of what a file held before it was changed.

    Raises:
        StoreError: a label is of another molecule, or damaged.
    """
    done = {*store.names()}
    for frame in (each for each in frames if each.name in done):
        held, molecule = store.read(frame.name, ("numbers", "coords")), frame.molecule
        same = all(
            np.array_equal(held.arrays[key], np.asarray(getattr(molecule, key))) for key in ("numbers", "coords")
        )
        if not same or held.attributes != frame.attributes:
            raise StoreError(
                f"{store.folder / frame.name}.h5 is the label of another molecule than its file holds now; delete it, "
                "or give another folder."
            )


def plan(frames: Sequence[Frame], folder: Path, settings: LabelSettings) -> list[LabelTask]:
    """Tasks in order of size; the array lengths of a class depend on all frames, not on which are done.

    A frame that the basis has no functions for comes last, without a class, and fails on its own.
    """
    by_name = {frame.name: frame for frame in frames}
    rooms = shared_rooms({name: frame.molecule for name, frame in by_name.items()}, settings)
    return [LabelTask(by_name[name], folder, settings, rooms.get(name)) for name in dict.fromkeys((*rooms, *by_name))]


def shared_rooms(molecules: Mapping[str, Molecule], settings: LabelSettings) -> dict[str, Lengths]:
    """Array lengths of molecules, in order of size; those of like size share them, and compiled programs.

    Molecules that the basis has no functions for are left out, unless that is all of them.

    Raises:
        BasisError: an unknown basis, or one that has functions for no molecule.
    """
    names, all_molecules = list(molecules), list(molecules.values())
    classes = size_classes(all_molecules, settings.basis, settings.aux_basis, settings.grid_level)
    return {names[place]: room for place, room in classes.rooms.items()}


def run_task(task: LabelTask) -> None:
    """Label one frame into its store.

    Raises:
        ConvergenceError: the SCF does not converge.
        InputError: the molecule cannot be computed as the settings ask.
    """
    frame = task.frame
    arrays = label(frame.molecule, frame.name, task.settings, task.room)
    open_store(task.folder).write(frame.name, arrays, frame.attributes)
