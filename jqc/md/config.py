"""What a simulation is made of, as plain values in the units of files: fs, K, Å, eV and GPa; from TOML or flags."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jqc.errors import InputError
from jqc.md.ensembles import CSVR, NPT, NVE, Ensemble, Langevin, Metadynamics, NoseHoover
from jqc.md.variables import Angle, Dihedral, Distance, Variable
from jqc.settings import POSITIVE, Check, one_of, refuse_unknown, require, require_fields, whole
from jqc.units import ANGSTROM, ELECTRONVOLT, FEMTOSECOND, GIGAPASCAL, KELVIN

VARIABLES: dict[str, tuple[type, int]] = {"distance": (Distance, 2), "angle": (Angle, 3), "dihedral": (Dihedral, 4)}
"""Names of variables, what they are, and of how many atoms."""

ENSEMBLES: dict[str, dict[str, float]] = {
    "nve": {},
    "langevin": {"friction": 0.01},
    "nose-hoover": {"time": 50.0},
    "csvr": {"time": 100.0},
    "npt": {"time": 100.0, "pressure": 1e-4, "pressure_time": 1000.0, "compressibility": 0.46},
}
"""Settings of each ensemble and their defaults: times in fs, friction in fs⁻¹, pressure in GPa, water's κ in GPa⁻¹."""

POTENTIALS: dict[str, dict[str, Any]] = {
    "scf": {
        "xc": "pbe",
        "basis": "def2-svp",
        "grid_level": 3,
        "exchange": "df",
        "charge": None,
        "spin": None,
        "polarizable": False,
    },
    "lennard-jones": {"epsilon": 0.0104, "sigma": 3.4, "cutoff": 8.5},
    "ase": {"calculator": "ase.calculators.emt:EMT", "options": {}},
}
"""Settings of each potential and their defaults: argon's in eV and Å; an ASE calculator as module:class."""

BIAS: dict[str, Any] = {"variables": [], "widths": [], "height": 0.01, "bias_factor": 10.0, "pace": 100}
"""Settings of metadynamics: variables as "dihedral 0 1 2 3", widths in Å or radians, height in eV, pace in steps."""


_CHECKS: dict[str, Check] = {
    **dict.fromkeys(("steps", "stride", "chunk"), whole(1)),
    **dict.fromkeys(("dt", "temperature", "hottest"), POSITIVE),
    "seed": whole(0),
}


@dataclass(frozen=True)
class MdConfig:
    """A simulation; every field has a plain value.

    Raises:
        InputError: a value that means nothing, with its name and what it may be.
    """

    file: str
    """Geometry in XYZ or extended XYZ; a Lattice= makes a box."""
    steps: int = 1000
    """Steps in all."""
    dt: float = 0.5
    """Time step in fs."""
    temperature: float = 300.0
    """K, of the momenta that are drawn and of the ensemble."""
    stride: int = 10
    """Steps from one frame to the next."""
    chunk: int = 100
    """Frames that are made before they are written."""
    seed: int = 0
    """Of momenta and thermostats."""
    hottest: float = 1e5
    """K, beyond which a simulation has gone wrong."""
    potential: dict[str, Any] = field(default_factory=lambda: {"kind": "scf"})
    """Its kind, and settings of that kind."""
    ensemble: dict[str, Any] = field(default_factory=lambda: {"kind": "nve"})
    """Its kind, and settings of that kind."""
    metadynamics: dict[str, Any] = field(default_factory=dict)
    """Settings of a bias; none without variables."""

    def __post_init__(self) -> None:
        require_fields(self, _CHECKS)
        divides = (lambda steps: steps % self.stride == 0, f"a multiple of the stride, {self.stride}")
        require("steps", self.steps, divides)
        object.__setattr__(self, "potential", _filled("potential", self.potential, POTENTIALS))
        object.__setattr__(self, "ensemble", _filled("ensemble", self.ensemble, ENSEMBLES))
        if self.metadynamics:
            object.__setattr__(self, "metadynamics", _known("metadynamics", self.metadynamics, BIAS))
            variables_of(self.metadynamics)

    @property
    def time_step(self) -> float:
        """In atomic units."""
        return self.dt / FEMTOSECOND

    @property
    def thermal_energy(self) -> float:
        """The temperature kT in hartree."""
        return self.temperature / KELVIN

    def make_ensemble(self) -> Ensemble:
        """The ensemble in atomic units."""
        kind, kT = self.ensemble["kind"], self.thermal_energy
        times = {
            name: value / FEMTOSECOND for name, value in self.ensemble.items() if name in ("time", "pressure_time")
        }
        made: Ensemble
        if kind == "nve":
            made = NVE()
        elif kind == "langevin":
            made = Langevin(kT, self.ensemble["friction"] * FEMTOSECOND)
        elif kind == "nose-hoover":
            made = NoseHoover(kT, times["time"])
        elif kind == "csvr":
            made = CSVR(kT, times["time"])
        else:
            pressure, softness = self.ensemble["pressure"] / GIGAPASCAL, self.ensemble["compressibility"] * GIGAPASCAL
            made = NPT(kT, pressure, times["time"], times["pressure_time"], softness)
        return self._biased(made) if self.metadynamics else made

    def _biased(self, ensemble: Ensemble) -> Ensemble:
        bias = self.metadynamics
        variables = variables_of(bias)
        units = [ANGSTROM if isinstance(variable, Distance) else 1.0 for variable in variables]
        widths = tuple(width / unit for width, unit in zip(bias["widths"], units, strict=True))
        height, room = bias["height"] / ELECTRONVOLT, self.steps // bias["pace"]
        return Metadynamics(
            ensemble, variables, widths, height, bias["bias_factor"], self.thermal_energy, bias["pace"], room
        )


def variables_of(bias: Mapping[str, Any]) -> tuple[Variable, ...]:
    """Variables of a bias, from texts such as "dihedral 0 1 2 3".

    Raises:
        InputError: a text that is none, or other numbers of widths.
    """
    found = []
    for text in bias["variables"]:
        name, *atoms = str(text).split()
        kind, count = VARIABLES.get(name, (None, 0))
        if kind is None or len(atoms) != count or not all(atom.isdigit() for atom in atoms):
            raise InputError(f"variable {text!r} cannot be read; give {', '.join(VARIABLES)} and its atoms' numbers.")
        found.append(kind(*map(int, atoms)))
    if not found or len(bias["widths"]) != len(found):
        raise InputError(f"{len(bias['widths'])} widths and {len(found)} variables do not go together; give as many.")
    return tuple(found)


def from_dict(content: Mapping[str, Any]) -> MdConfig:
    """A configuration from plain values.

    Raises:
        InputError: an unknown name, no file, or a value that means nothing.
    """
    refuse_unknown(content, [each.name for each in dataclasses.fields(MdConfig)], "the simulation")
    if "file" not in content:
        raise InputError("there is no geometry; give a file.")
    return MdConfig(**content)


def _filled(what: str, given: Mapping[str, Any], kinds: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Settings of a kind, with defaults for those that are not given."""
    kind: Any = given.get("kind")
    require(f"{what}.kind", kind, one_of(kinds))
    rest = {name: value for name, value in given.items() if name != "kind"}
    return {"kind": kind, **_known(f"{what} {kind}", rest, kinds[kind])}


def _known(what: str, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    refuse_unknown(given, list(defaults), what)
    for name, value in given.items():
        if isinstance(defaults[name], float):
            require(f"{what}.{name}", value, POSITIVE)
    return {**defaults, **given}
