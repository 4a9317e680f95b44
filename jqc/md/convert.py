"""Trajectories for other programs: extended XYZ through ASE, H5MD, DCD and XTC through MDAnalysis."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from jqc.errors import InputError
from jqc.files import replacing, writable
from jqc.md.trajectory import Trajectory
from jqc.units import AMU, ANGSTROM, ELECTRONVOLT, FEMTOSECOND


def convert(trajectory: Trajectory, path: Path) -> None:
    """Write a trajectory in ångström, in the format of the path's suffix; the file appears as a whole.

    Raises:
        InputError: an unknown suffix, a missing package, or a file that cannot be written.
    """
    suffix = known_suffix(path)
    with replacing(writable(path)) as temporary:
        WRITERS[suffix](trajectory, temporary)


def known_suffix(path: Path) -> str:
    """The suffix of a path, in lower case.

    Raises:
        InputError: one that has no writer.
    """
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        raise InputError(f"{path} has a suffix that is not known; choose {', '.join(WRITERS)}.")
    return suffix


def _extended_xyz(trajectory: Trajectory, path: Path) -> None:
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write

    frames = trajectory.frames
    images = []
    for at, positions in enumerate(np.asarray(frames.positions)):
        cell = None if frames.cell is None else np.asarray(frames.cell[at]) * ANGSTROM
        atoms = Atoms(
            numbers=trajectory.subject.numbers, positions=positions * ANGSTROM, cell=cell, pbc=cell is not None
        )
        atoms.calc = SinglePointCalculator(atoms, energy=float(frames.energy[at]) * ELECTRONVOLT)
        atoms.info["step"] = int(frames.step[at])
        atoms.info["time_fs"] = float(trajectory.times[at]) * FEMTOSECOND
        images.append(atoms)
    write(path, images, format="extxyz")


def _h5md(trajectory: Trajectory, path: Path) -> None:
    """De Buyl, Colberg & Höfling, Comput. Phys. Commun. 185, 1546 (2014), doi:10.1016/j.cpc.2014.01.018."""
    import h5py

    subject, frames = trajectory.subject, trajectory.frames
    series = {
        "particles/all/position": np.asarray(frames.positions) * ANGSTROM,
        "particles/all/velocity": np.asarray(frames.momenta)
        / np.asarray(subject.masses)[:, None]
        * (ANGSTROM / FEMTOSECOND),
        "observables/potential_energy": np.asarray(frames.energy) * ELECTRONVOLT,
        "observables/kinetic_energy": np.asarray(frames.kinetic) * ELECTRONVOLT,
        "observables/conserved_energy": np.asarray(frames.conserved) * ELECTRONVOLT,
    }
    units = {"position": "Angstrom", "velocity": "Angstrom fs-1"}
    if frames.cell is not None:
        series["particles/all/box/edges"] = np.asarray(frames.cell) * ANGSTROM
    with h5py.File(path, "w") as file:
        meta = file.create_group("h5md")
        meta.attrs["version"] = np.array([1, 1])
        meta.create_group("creator").attrs["name"] = "jqc"
        box = file.create_group("particles/all/box")
        box.attrs["dimension"] = 3
        box.attrs["boundary"] = ["none" if frames.cell is None else "periodic"] * 3
        file["particles/all/species"], file["particles/all/mass"] = subject.numbers, np.asarray(subject.masses) * AMU
        for name, values in series.items():
            group = file.create_group(name)
            group["value"], group["step"] = values, frames.step
            group["time"] = trajectory.times * FEMTOSECOND
            group["value"].attrs["unit"] = units.get(name.rsplit("/", 1)[1], "eV" if "energy" in name else "Angstrom")
            group["time"].attrs["unit"] = "fs"


def _mdanalysis(kind: str, trajectory: Trajectory, path: Path) -> None:
    try:
        import MDAnalysis  # pyright: ignore[reportMissingImports]
        from MDAnalysis.coordinates.memory import MemoryReader  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InputError("DCD and XTC need MDAnalysis; pip install 'jqc-jax[trajectories]'.") from None
    frames = trajectory.frames
    positions = np.asarray(frames.positions, np.float32) * np.float32(ANGSTROM)
    universe = MDAnalysis.Universe.empty(positions.shape[1], trajectory=True)
    picoseconds = trajectory.interval * FEMTOSECOND * 1e-3 if len(positions) > 1 else 1.0
    universe.load_new(positions, format=MemoryReader, dimensions=_dimensions(frames.cell), dt=picoseconds)
    with MDAnalysis.Writer(str(path), positions.shape[1], format=kind, dt=picoseconds) as writer:
        for _ in universe.trajectory:
            writer.write(universe.atoms)


def _dimensions(cell) -> np.ndarray | None:
    """Lengths in ångström and angles in degrees of each frame's cell."""
    if cell is None:
        return None
    from ase.geometry import cell_to_cellpar

    full = [np.diag(each) if np.ndim(each) == 1 else np.asarray(each) for each in np.asarray(cell)]
    return np.stack([cell_to_cellpar(each * ANGSTROM) for each in full]).astype(np.float32)


WRITERS: dict[str, Callable[[Trajectory, Path], None]] = {
    ".xyz": _extended_xyz,
    ".extxyz": _extended_xyz,
    ".h5": _h5md,
    ".h5md": _h5md,
    ".dcd": partial(_mdanalysis, "DCD"),
    ".xtc": partial(_mdanalysis, "XTC"),
}
"""What writes each suffix."""
