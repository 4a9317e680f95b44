"""Figures of what was computed; matplotlib is imported when one is drawn."""

from jqc.report.curves import learning_curves
from jqc.report.evaluation import evaluation_figures
from jqc.report.figure import FORMATS, figure_format, rendered
from jqc.report.measures import print_evaluation
from jqc.report.page import evaluation_page
from jqc.report.panels import panels
from jqc.report.spectra import (
    Panel,
    absorption_spectrum,
    broadened,
    gaussian,
    lorentzian,
    molar_absorption,
    stick_spectrum,
    vibrational_spectrum,
)

__all__ = [
    "FORMATS",
    "Panel",
    "absorption_spectrum",
    "broadened",
    "evaluation_figures",
    "evaluation_page",
    "figure_format",
    "gaussian",
    "learning_curves",
    "lorentzian",
    "molar_absorption",
    "panels",
    "print_evaluation",
    "rendered",
    "stick_spectrum",
    "vibrational_spectrum",
]
