"""Molecular dynamics with any energy, as differentiable functions of arrays.

state = begin(potential, ensemble, positions, masses, temperature=kT)
for state, frames in simulate(potential, ensemble, state, dt, steps):
    ...
"""

from jqc.md.begin import begin
from jqc.md.ensembles import CSVR, NPT, NVE, Langevin, Metadynamics, NoseHoover
from jqc.md.limits import Limits
from jqc.md.potentials.jax_md import JaxMD
from jqc.md.potentials.learned import Learned
from jqc.md.potentials.pair import LennardJones
from jqc.md.simulate import joined, simulate
from jqc.md.state import State
from jqc.md.step import Frames
from jqc.md.walkers import of_walker, walkers

__all__ = [
    "CSVR",
    "NPT",
    "NVE",
    "Frames",
    "JaxMD",
    "Langevin",
    "Learned",
    "LennardJones",
    "Limits",
    "Metadynamics",
    "NoseHoover",
    "State",
    "begin",
    "joined",
    "of_walker",
    "simulate",
    "walkers",
]
