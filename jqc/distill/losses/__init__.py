"""What training makes small: DI-Loss, and published alternatives with the same call.

A loss is a frozen dataclass of weights, called with a student, a teacher, an `Example` and a key. It returns the loss
of one example and its terms by name, each per electron and without its weight. `needs_integrals` says whether the
example has to hold integrals.
"""

from jqc.distill.losses.commutator import CommutatorLoss
from jqc.distill.losses.di_loss import DILoss
from jqc.distill.losses.perturbative import PerturbativeLoss
from jqc.distill.losses.scf_loss import SCFLoss

Loss = DILoss | SCFLoss | CommutatorLoss | PerturbativeLoss

__all__ = ["CommutatorLoss", "DILoss", "Loss", "PerturbativeLoss", "SCFLoss"]
