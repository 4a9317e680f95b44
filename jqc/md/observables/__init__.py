"""What trajectories tell: structure, motion, spectra, and how sure a mean is.

Functions of arrays in consistent units; those of `vibrational` are atomic ones. What is smooth is differentiable.
"""

from jqc.md.observables.averages import Mean, block_errors, mean
from jqc.md.observables.correlation import autocorrelation, power_spectrum
from jqc.md.observables.displacement import Diffusivity, diffusivity, msd
from jqc.md.observables.pairs import all_pairs, distance_histogram, distances, rdf, rdf_of
from jqc.md.observables.profile import Profile, free_energy
from jqc.md.observables.structure import radius_of_gyration, rmsd, rmsf, stable_frames
from jqc.md.observables.vibrational import Spectrum, density_of_states, infrared, infrared_sum, raman, raman_activity

__all__ = [
    "Diffusivity",
    "Mean",
    "Profile",
    "Spectrum",
    "all_pairs",
    "autocorrelation",
    "block_errors",
    "density_of_states",
    "diffusivity",
    "distance_histogram",
    "distances",
    "free_energy",
    "infrared",
    "infrared_sum",
    "mean",
    "msd",
    "power_spectrum",
    "radius_of_gyration",
    "raman",
    "raman_activity",
    "rdf",
    "rdf_of",
    "rmsd",
    "rmsf",
    "stable_frames",
]
