"""How names of functionals are compared."""

import re


def key(name: str) -> str:
    """A name without case, spaces, hyphens and underscores; ω may be written w."""
    return re.sub(r"[\s_-]", "", name.lower()).replace("ω", "w")
