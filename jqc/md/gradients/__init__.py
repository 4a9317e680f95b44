"""Three ways to the gradient of a trajectory's averages, and how far they can be trusted.

found = gradient(loss, Checkpointed(), potential, ensemble, state, Sampling(dt, frames, stride, observe)).check()
found.value, found.slope  # the slope is a potential, its arrays are derivatives
"""

from jqc.md.gradients.adjoint import Adjoint
from jqc.md.gradients.checkpointed import Checkpointed
from jqc.md.gradients.gradient import Gradient, gradient
from jqc.md.gradients.horizon import Horizon, horizon
from jqc.md.gradients.reweighted import Reweighted, effective_frames, reweighted_mean
from jqc.md.gradients.sampling import Sampling

__all__ = [
    "Adjoint",
    "Checkpointed",
    "Gradient",
    "Horizon",
    "Reweighted",
    "Sampling",
    "effective_frames",
    "gradient",
    "horizon",
    "reweighted_mean",
]
