"""Ensembles: what happens before and after the one evaluation of forces in a step.

An ensemble is a registered dataclass with `start(state)`, which adds what it remembers, and `before(state, dt)` and
`after(state, dt)`. So the same ensembles serve compiled potentials and those of the host.
"""

from jqc.md.ensembles.base import Ensemble
from jqc.md.ensembles.csvr import CSVR
from jqc.md.ensembles.langevin import Langevin
from jqc.md.ensembles.metadynamics import Metadynamics
from jqc.md.ensembles.nose_hoover import NoseHoover
from jqc.md.ensembles.npt import NPT
from jqc.md.ensembles.nve import NVE

__all__ = ["CSVR", "NPT", "NVE", "Ensemble", "Langevin", "Metadynamics", "NoseHoover"]
