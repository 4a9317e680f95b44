"""What a distillation run is made of: data, model, loss and training, to and from TOML."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from jqc.distill.losses import DILoss
from jqc.errors import InputError
from jqc.training import TrainingSettings

ARMS: dict[str, DILoss] = {
    "e-rho": DILoss(gradient=0.0, hessian=0.0, displaced=0.0),
    "e-rho-grad": DILoss(hessian=0.0),
    "e-rho-grad-hess": DILoss(),
}
"""Losses by name: energy and density; with the gradient; with the Hessian too."""


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
    loss: DILoss = ARMS["e-rho-grad-hess"]
    training: TrainingSettings = field(default_factory=TrainingSettings)
    grid_level: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values by name."""
        return {
            "data": str(self.data),
            "validation": self.validation and str(self.validation),
            "model": self.model,
            "options": dict(self.options),
            "loss": asdict(self.loss),
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
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputError(f"{path} cannot be read ({reason}); give a TOML file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no TOML file ({error}); correct it.") from None


def from_dict(content: Mapping[str, Any]) -> DistillConfig:
    """A run from nested plain values, as `read_content` gives them.

    Raises:
        InputError: a key that does not exist, a value that means nothing, or no data.
    """
    known = {each.name for each in fields(DistillConfig)}
    _refuse_unknown(content, known, "the configuration")
    if "data" not in content:
        raise InputError("data is missing; name a folder that jqc label made.")
    values = dict(content)
    values |= {name: Path(content[name]) for name in ("data", "validation") if content.get(name) is not None}
    values["loss"] = _loss(content.get("loss", {}))
    values["training"] = TrainingSettings.from_dict(content.get("training", {}))
    return DistillConfig(**values)


def _loss(content: Mapping[str, Any]) -> DILoss:
    weights = dict(content)
    name = weights.pop("name", "e-rho-grad-hess")
    if name not in ARMS:
        raise InputError(f"{name!r} is no loss; choose {', '.join(ARMS)}.")
    _refuse_unknown(weights, {each.name for each in fields(DILoss)}, "the loss")
    return DILoss(**(asdict(ARMS[name]) | weights))


def _refuse_unknown(content: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in content:
        if key not in known:
            near = get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}."
            raise InputError(f"{where} has no {key!r}; {hint}")
