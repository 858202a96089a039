"""How OpenMP's threads wait for each other; to be said before PyTorch is loaded, which reads it.

Loads nothing, so that every entry point can begin with it.
"""

import os

# Where something else runs too, threads that spin while they wait take the time of those that
# compute: two are then slower than one.
SPIN = {"GOMP_SPINCOUNT": "1000"}


def spin_shortly() -> None:
    """Let waiting threads give way, in this process and those that it starts; a user's own
    setting stays.
    """
    for name, value in SPIN.items():
        os.environ.setdefault(name, value)
