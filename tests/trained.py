"""What a method's training wrote, as tests of methods get it from the fixture ``run``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from nat.network.model import Network


class Trained(NamedTuple):
    """``result`` is the content of its file; ``network`` is None if the method was not run."""

    result: dict[str, Any]
    folder: Path
    network: Network | None

    def column(self, name: str) -> list[float]:
        """A number of each epoch."""
        return [row[name] for row in self.result["history"]]


Run = Callable[..., Trained]
