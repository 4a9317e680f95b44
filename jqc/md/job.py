"""A simulation in a folder: configuration, frames and the last state, from which the same configuration goes on."""

import dataclasses
import importlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jqc.errors import InputError
from jqc.files import make_folder, write_json
from jqc.md.begin import begin
from jqc.md.config import MdConfig
from jqc.md.limits import Limits
from jqc.md.potential import HostPotential, Potential
from jqc.md.potentials.pair import LennardJones
from jqc.md.restart import load, save
from jqc.md.simulate import simulate
from jqc.md.state import State
from jqc.md.step import Frames
from jqc.md.trajectory import Subject, append, create, cut
from jqc.units import AMU, ANGSTROM, ELECTRONVOLT, KELVIN

if TYPE_CHECKING:
    from ase import Atoms

CONFIG, RESTART = "config.json", "restart.npz"


@dataclass(frozen=True)
class Progress:
    """How far a simulation is: its step, steps in a second, temperature in K, and the drift of what is conserved.

    The drift is in hartree since this process began.
    """

    step: int
    speed: float
    temperature: float
    drift: float


def run(config: MdConfig, folder: Path, told: Callable[[Progress], None] = lambda progress: None) -> State:
    """Simulate into a folder, or go on with what it holds.

    Raises:
        InputError: something that cannot be used, or a folder of another simulation; nothing has been written.
        SimulationError: the simulation went beyond its limits; frames before are kept.
    """
    atoms = geometry(Path(config.file))
    potential, ensemble = make_potential(config, atoms), config.make_ensemble()
    masses, cell = atoms.get_masses() / AMU, box(atoms)
    first = begin(
        potential,
        ensemble,
        atoms.positions / ANGSTROM,
        masses,
        temperature=config.thermal_energy,
        cell=cell,
        key=jax.random.key(config.seed),
    )
    begun = _state(config, folder, first, Subject(atoms.numbers, masses, config.time_step))
    start, state = time.perf_counter(), begun
    limits = Limits(hottest=config.hottest / KELVIN)
    options: dict[str, Any] = {"stride": config.stride, "chunk": config.chunk, "limits": limits}
    for state, frames in simulate(potential, ensemble, begun, config.time_step, config.steps, **options):
        append(folder, frames)
        save(folder / RESTART, state)
        speed = (int(state.step) - int(begun.step)) / (time.perf_counter() - start)
        told(_progress(frames, speed, float(begun.conserved)))
    return state


def _progress(frames: Frames, speed: float, conserved: float) -> Progress:
    temperature = float(np.mean(frames.temperature)) * KELVIN
    return Progress(int(frames.step[-1]), speed, temperature, float(frames.conserved[-1]) - conserved)


def _state(config: MdConfig, folder: Path, first: State, subject: Subject) -> State:
    """The state to go on from; a folder that holds none is made."""
    wanted = json.loads(json.dumps(dataclasses.asdict(config)))
    steps = wanted.pop("steps")
    if not (folder / RESTART).exists():
        make_folder(folder)
        create(folder, subject)
        write_json(folder / CONFIG, {**wanted, "steps": steps})
        save(folder / RESTART, first)
        return first
    try:
        held = json.loads((folder / CONFIG).read_text())
    except (OSError, ValueError):
        raise InputError(f"{folder / CONFIG} cannot be read; give another folder.") from None
    for name, value in wanted.items():
        if held.get(name) != value:
            raise InputError(
                f"{folder} holds a simulation with another {name} ({held.get(name)}); give another folder."
            )
    state = load(folder / RESTART, first)
    cut(folder, int(state.step))
    return state


def geometry(path: Path) -> "Atoms":
    """The first frame of a file, as ASE's atoms.

    Raises:
        InputError: no file, or one without a geometry.
    """
    from ase.io import read

    if not path.is_file():
        raise InputError(f"{path} is no file; give a geometry.")
    try:
        found = read(path, 0)
        return found[0] if isinstance(found, list) else found
    except Exception as error:  # of whatever reads the format
        raise InputError(f"{path} cannot be read as a geometry ({type(error).__name__}); give XYZ.") from None


def box(atoms: "Atoms") -> np.ndarray | None:
    """Edges of a box in bohr, or none.

    Raises:
        InputError: a box that is open in some directions.
    """
    if not atoms.pbc.any():
        return None
    if not atoms.pbc.all() or abs(atoms.cell.volume) < 1e-9:
        raise InputError("the box is open in some directions, or has no volume; give one that is closed, or none.")
    cell = np.asarray(atoms.cell) / ANGSTROM
    diagonal = np.diag(cell)
    return diagonal.copy() if np.allclose(cell, np.diag(diagonal), atol=1e-12) else cell


def make_potential(config: MdConfig, atoms: "Atoms") -> Potential | HostPotential:
    """The potential that a configuration asks for.

    Raises:
        InputError: a potential that cannot be made for these atoms.
    """
    settings = {name: value for name, value in config.potential.items() if name != "kind"}
    if config.potential["kind"] == "lennard-jones":
        depth, *lengths = settings["epsilon"] / ELECTRONVOLT, settings["sigma"], settings["cutoff"]
        sigma, cutoff = (length / ANGSTROM for length in lengths)
        return LennardJones(depth, sigma, cutoff)
    if config.potential["kind"] == "ase":
        return _calculated(atoms, settings["calculator"], settings["options"])
    return _kohn_sham(atoms, **settings)


def _kohn_sham(
    atoms, xc: str, charge: int | None, spin: int | None, polarizable: bool, **options: Any
) -> HostPotential:
    from jqc.md.potentials.kohn_sham import KohnSham
    from jqc.system import Molecule
    from jqc.xc import functional

    if atoms.pbc.any():
        raise InputError("the SCF is that of a molecule in free space; leave out the box.")
    molecule = Molecule.from_ase(atoms, charge, spin)
    return KohnSham.of(molecule, functional(xc), polarizable=polarizable, **options)


def _calculated(atoms, name: str, options: dict[str, Any]) -> HostPotential:
    from jqc.md.potentials.calculator import Calculated

    module, _, kind = name.partition(":")
    try:
        calculator = getattr(importlib.import_module(module), kind)(**options)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise InputError(f"calculator {name} cannot be made ({error}); give module:class and its options.") from None
    held = atoms.copy()
    held.calc = calculator
    return Calculated(held)
