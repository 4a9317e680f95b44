"""The one training loop, which knows nothing of what is trained.

A killed run that goes on equals one that was never killed, bit for bit on one machine.
"""

from jqc.training.batches import Batch, Examples
from jqc.training.loop import Fitted, fit
from jqc.training.records import Progress, Record, read_records
from jqc.training.settings import TrainingSettings
from jqc.training.step import Key, Loss, Parameters, TrainState
from jqc.training.table import live_table

__all__ = [
    "Batch",
    "Examples",
    "Fitted",
    "Key",
    "Loss",
    "Parameters",
    "Progress",
    "Record",
    "TrainState",
    "TrainingSettings",
    "fit",
    "live_table",
    "read_records",
]
