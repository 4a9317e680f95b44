"""Every error that jqc raises on purpose.

An error is one sentence: what was received and what to do. All of them are `ValueError`s, raised on the host
before any long work; the command line prints the sentence and exits with code 2.
"""


class InputError(ValueError):
    """Something the user handed over cannot be used as it is."""


class MoleculeError(InputError):
    """A geometry, charge or spin that describes no molecule."""


class BasisError(InputError):
    """An orbital or auxiliary basis that does not exist or lacks an element."""


class FunctionalError(InputError):
    """A functional's name that cannot be read, or a functional that cannot be used here."""


class PrecisionError(InputError):
    """Single precision where only double precision gives a meaningful number."""


class MemoryLimitError(InputError):
    """A job whose estimated memory exceeds what it may use."""


class TrainingError(InputError):
    """Settings, data, parameters or a run's folder that training cannot go on with."""


class StoreError(InputError):
    """A folder of records, or a record, that is missing, damaged or not what was asked for."""


class ClusterError(InputError):
    """A cluster that does not answer, or whose workers cannot be used."""


class GroupError(InputError):
    """A group of processes that cannot be formed, or that has lost one of them."""


class ConvergenceError(RuntimeError):
    """An iteration that stopped before it reached its thresholds."""


class SimulationError(RuntimeError):
    """A simulation that went beyond its limits, or whose result means nothing."""


class InstabilityError(InputError):
    """The reference density is no minimum of the energy."""


def refusal(error: OSError) -> str:
    """What the system says of a file that it refuses, in lower case, to stand in a sentence.

    >>> refusal(FileNotFoundError(2, "No such file or directory"))
    'no such file or directory'
    """
    return (error.strerror or type(error).__name__).lower()
