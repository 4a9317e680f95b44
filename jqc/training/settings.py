"""What a training run is made of, apart from loss and data: plain values, to and from JSON and TOML."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from jqc.errors import TrainingError
from jqc.settings import POSITIVE, Check, one_of, real, refuse_unknown, require_fields, whole

Schedule = Literal["constant", "cosine", "exponential"]
"""How the learning rate falls after the warm-up."""

Optimizer = Literal["adam", "soap"]
"""What a gradient is scaled by: averages of its own squares, or those in the eigenbasis of its products."""


@dataclass(frozen=True)
class TrainingSettings:
    """How long, how fast and in what order to train; every field has a plain value.

    Raises:
        TrainingError: a value that means nothing, with the field's name and what it may be.

    >>> TrainingSettings(steps=200, learning_rate=3e-3).schedule
    'cosine'
    >>> TrainingSettings(batch_size=0)
    Traceback (most recent call last):
    jqc.errors.TrainingError: batch_size is 0; give an int from 1 to 2147483647.
    """

    steps: int = 10_000
    """Batches to learn from; also the length of the schedule."""
    batch_size: int = 8
    """Examples of a batch; a class with fewer makes smaller batches."""
    optimizer: Optimizer = "adam"
    """Adam, or SOAP for losses that are badly conditioned, which costs little where arrays are small."""
    learning_rate: float = 1e-3
    """The highest one."""
    schedule: Schedule = "cosine"
    """How the learning rate falls to `decay` times the highest over the steps after the warm-up."""
    warmup: int = 0
    """Steps over which the learning rate rises linearly at first."""
    decay: float = 0.01
    """Last learning rate over the highest; a constant schedule does not read it."""
    weight_decay: float = 0.0
    """Decoupled, as in AdamW: parameters shrink by this times the learning rate."""
    clip: float = 1.0
    """Largest norm of all gradients together; longer ones are shortened to it. 0 clips nothing."""
    ema: float = 0.999
    """Decay of the exponential moving average of the parameters; 0 averages nothing."""
    log_every: int = 10
    """Steps whose mean makes a training record."""
    validate_every: int = 100
    """Steps between validations of the averaged parameters."""
    patience: int = 0
    """Validations without a better loss after which to stop; 0 never stops, others need validation."""
    checkpoint_every: int = 100
    """Steps between checkpoints: what a killed run loses at most."""
    seconds: float | None = None
    """Time in training steps, over all resumptions, after which to stop; compilation, validation and files are free."""
    seed: int = 0
    """Of the order of examples and of the keys that the loss receives."""

    def __post_init__(self) -> None:
        require_fields(self, _CHECKS, TrainingError)
        if self.warmup >= self.steps:
            raise TrainingError(f"warmup is {self.warmup} of {self.steps} steps; give fewer than there are steps.")

    def to_dict(self) -> dict[str, Any]:
        """Fields by name; `seconds` is left out where there is no limit, for TOML knows no null."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainingSettings":
        """Settings from some of the fields; the others have their defaults.

        Raises:
            TrainingError: a name that is no field, or a value that means nothing.
        """
        refuse_unknown(values, [field.name for field in dataclasses.fields(cls)], "the training", TrainingError)
        return cls(**values)


_CHECKS: dict[str, Check] = {
    "steps": whole(1),
    "batch_size": whole(1),
    "learning_rate": POSITIVE,
    "optimizer": one_of(get_args(Optimizer)),
    "schedule": one_of(get_args(Schedule)),
    "warmup": whole(0),
    "decay": real(lambda x: 0 < x <= 1, "a number above 0 and at most 1"),
    "weight_decay": real(lambda x: x >= 0, "a number of at least 0"),
    "clip": real(lambda x: x >= 0, "a number of at least 0"),
    "ema": real(lambda x: 0 <= x < 1, "a number of at least 0 and below 1"),
    "log_every": whole(1),
    "validate_every": whole(1),
    "patience": whole(0),
    "checkpoint_every": whole(1),
    "seconds": (lambda x: x is None or POSITIVE[0](x), "a positive number, or leave it out"),
    "seed": whole(0),
}
