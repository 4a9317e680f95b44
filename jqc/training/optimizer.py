"""Adam or SOAP under a schedule, behind a clip of the gradients' norm."""

import jax.numpy as jnp
import optax

from jqc.training.settings import TrainingSettings
from jqc.training.soap import scale_by_soap
from jqc.typing import Array, Float, Int


def learning_rate(settings: TrainingSettings) -> optax.Schedule:
    """Learning rate of an update, counted from 0.

    With w warm-up steps, r = (t − w)/(T − w), d the decay and η the highest rate,

        η (t + 1)/(w + 1)  for t < w,   then  η,   η [d + (1 − d)(1 + cos πr)/2]   or   η dʳ.

    The cosine is that of Loshchilov & Hutter (arXiv 1608.03983) without restarts.

    >>> rate = learning_rate(TrainingSettings(steps=100, warmup=3, learning_rate=0.1, schedule="constant"))
    >>> [round(float(rate(t)), 3) for t in (0, 1, 3, 50)]
    [0.025, 0.05, 0.1, 0.1]
    """
    highest, rise, fall = settings.learning_rate, settings.warmup, settings.steps - settings.warmup
    after = {
        "constant": optax.constant_schedule(highest),
        "cosine": optax.cosine_decay_schedule(highest, fall, settings.decay),
        "exponential": optax.exponential_decay(highest, fall, settings.decay),
    }[settings.schedule]
    return optax.join_schedules([optax.linear_schedule(highest / (rise + 1), highest, rise), after], [rise])


def optimizer(settings: TrainingSettings) -> optax.GradientTransformation:
    """Adam or SOAP of gradients clipped by their global norm, with the decoupled weight decay of AdamW.

    Loshchilov & Hutter, arXiv 1711.05101.
    """
    scale = {"adam": optax.scale_by_adam, "soap": scale_by_soap}[settings.optimizer]()
    decay = optax.add_decayed_weights(settings.weight_decay)
    made = optax.chain(scale, decay, optax.scale_by_learning_rate(learning_rate(settings)))
    return optax.chain(optax.clip_by_global_norm(settings.clip), made) if settings.clip else made


def averaging(settings: TrainingSettings, updates: Int[Array, ""] | int) -> Float[Array, ""]:
    """Share of the old average after n updates: min(ema, (1 + n)/(10 + n)), so that the start is soon forgotten.

    >>> [round(float(averaging(TrainingSettings(ema=0.5), n)), 3) for n in (0, 2, 100)]
    [0.1, 0.25, 0.5]
    """
    n = jnp.asarray(updates, float)
    return jnp.minimum(settings.ema, (1 + n) / (10 + n))
