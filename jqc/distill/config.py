"""What a distillation run is made of: data, model, loss and training, to and from TOML."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from types import NoneType
from typing import Any

from jqc.distill.losses import CommutatorLoss, DILoss, Loss, PerturbativeLoss, SCFLoss
from jqc.errors import InputError
from jqc.files import read_toml
from jqc.settings import refuse_unknown
from jqc.system.grid import check_level
from jqc.training import TrainingSettings
from jqc.xc.neural.architectures import module

LOSSES: dict[str, Loss] = {
    "e-rho": DILoss(gradient=0.0, hessian=0.0, displaced=0.0),
    "e-rho-grad": DILoss(hessian=0.0),
    "e-rho-grad-hess": DILoss(),
    "scf": SCFLoss(),
    "commutator": CommutatorLoss(),
    "perturbative": PerturbativeLoss(),
}
"""Losses by name: DI-Loss of energy and density, with the gradient, with the Hessian too; and its alternatives."""

DEFAULT = "e-rho-grad-hess"


@dataclass(frozen=True)
class DistillConfig:
    """A run: labels to learn from and to validate on, an architecture and its options, a loss, and how to train.

    Without labels to validate on a tenth of the formulas in `data` is held back. `grid_level` None is the compact
    quadrature. The training's seed is also that of the first parameters.
    """

    data: Path
    validation: Path | None = None
    model: str = "xcdiff"
    options: Mapping[str, Any] = field(default_factory=dict)
    loss: Loss = LOSSES[DEFAULT]
    training: TrainingSettings = field(default_factory=TrainingSettings)
    grid_level: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values by name."""
        return {
            "data": str(self.data),
            "validation": self.validation and str(self.validation),
            "model": self.model,
            "options": dict(self.options),
            "loss": {"name": _name(self.loss), **asdict(self.loss)},
            "training": self.training.to_dict(),
            "grid_level": self.grid_level,
        }


def read_content(path: Path) -> dict[str, Any]:
    """Nested values of a TOML file.

        data = "labels/train"
        validation = "labels/validation"
        model = "xcdiff"

        [loss]
        name = "e-rho-grad-hess"
        hessian = 0.1

        [training]
        steps = 20000

    Raises:
        InputError: the file cannot be read.
    """
    return read_toml(path)


def with_changes(
    content: Mapping[str, Any], values: Mapping[str, Any], loss: str | None, training: Mapping[str, Any]
) -> dict[str, Any]:
    """The content with other values in its place, where they are not None; another loss has its own weights.

    Raises:
        InputError: a table to change is none.
    """
    for name in ("loss", "training"):
        if not isinstance(content.get(name, {}), Mapping):
            raise InputError(f"{name} is {content[name]!r}; give a table.")
    given = lambda some: {name: value for name, value in some.items() if value is not None}  # noqa: E731
    changed = {**content, **given(values), "training": {**content.get("training", {}), **given(training)}}
    if loss is not None and content.get("loss", {}).get("name", DEFAULT) != loss:
        changed["loss"] = {"name": loss}
    return changed


def from_dict(content: Mapping[str, Any]) -> DistillConfig:
    """A run from nested plain values, as `read_content` gives them.

    Raises:
        InputError: an unknown key, architecture or option, a value that means nothing, or no data.
    """
    refuse_unknown(content, [each.name for each in fields(DistillConfig)], "the configuration")
    if content.get("data") is None:
        raise InputError("data is missing; name a folder that jqc label made.")
    for name, (kinds, meaning) in _KINDS.items():
        if not isinstance(content.get(name, None), kinds) or isinstance(content.get(name), bool):
            raise InputError(f"{name} is {content[name]!r}; give {meaning}.")
    values = {name: value for name, value in content.items() if value is not None}
    if "grid_level" in values:
        check_level(values["grid_level"])
    values |= {name: Path(values[name]) for name in ("data", "validation") if name in values}
    values["loss"] = _loss(values.get("loss", {}))
    values["training"] = TrainingSettings.from_dict(values.get("training", {}))
    module(values.get("model", DistillConfig.model), values.get("options", {}))
    return DistillConfig(**values)


_PATH, _TABLE = ((str, Path, NoneType), "the path of a folder"), ((Mapping, NoneType), "a table")
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "data": _PATH,
    "validation": _PATH,
    "model": ((str, NoneType), "the name of an architecture"),
    "options": _TABLE,
    "loss": _TABLE,
    "training": _TABLE,
    "grid_level": ((int, NoneType), "a level from 0 to 9"),
}
"""What a key may hold, and how that is said."""


def _loss(content: Mapping[str, Any]) -> Loss:
    weights = dict(content)
    name = weights.pop("name", DEFAULT)
    if not isinstance(name, str) or name not in LOSSES:
        raise InputError(f"{name!r} is no loss; choose {', '.join(LOSSES)}.")
    refuse_unknown(weights, [each.name for each in fields(LOSSES[name])], f"the loss {name}")
    return replace(LOSSES[name], **weights)


def _name(loss: Loss) -> str:
    """The named loss that differs in fewest terms, and of those the one in fewest weights."""
    alike = {name: asdict(each) for name, each in LOSSES.items() if type(each) is type(loss)}
    own = asdict(loss)

    def differences(name: str) -> tuple[int, int]:
        pairs = [(own[field], value) for field, value in alike[name].items()]
        return sum(bool(a) != bool(b) for a, b in pairs), sum(a != b for a, b in pairs)

    return min(alike, key=differences)
