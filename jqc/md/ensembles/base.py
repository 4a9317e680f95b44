"""What every ensemble can do."""

from typing import Protocol

from jqc.md.motion import Time
from jqc.md.state import State


class Ensemble(Protocol):
    """Rules of a step around its evaluation of forces."""

    def start(self, state: State) -> State:
        """The state with the degrees of freedom that take up heat, and what the ensemble remembers."""
        ...

    def before(self, state: State, dt: Time) -> State:
        """To the new positions."""
        ...

    def after(self, state: State, dt: Time) -> State:
        """To the new momenta, with the forces there."""
        ...
