"""Curves as they grow, in TensorBoard: an optional copy of each history, which decides nothing.

TensorBoard rather than DVCLive, which writes files that DVC tracks and commits experiments of its
own: a stage that did so within `dvc repro` would change what its experiment is.
"""

from collections.abc import Mapping
from typing import Any

from nat.runtime.errors import UserError
from nat.runtime.io.paths import place
from nat.runtime.progress import say


class Live:
    """Writes rows of histories as they come; silent without a folder."""

    def __init__(self, folder: str | None) -> None:
        """``folder`` is ``machine.tensorboard``.

        Raises:
            UserError: the package is missing, or the folder cannot be made.
        """
        self._folder = None if folder is None else place(folder)
        self._writers: dict[str, Any] = {}
        if self._folder is None:
            return
        try:
            import tensorboard  # noqa: F401

            self._folder.mkdir(parents=True, exist_ok=True)
        except ImportError as error:
            raise UserError(
                "machine.tensorboard: needs the package tensorboard; install it with "
                "`pip install -e '.[live]'`, or set it to null"
            ) from error
        except OSError as error:
            raise UserError(
                f"machine.tensorboard: {folder}: cannot be written ({error.strerror}); name "
                "another folder, or null"
            ) from error

    def add(self, run: str, step: int, row: Mapping[str, Any]) -> None:
        """Add the numbers of a row to the curves of a run.

        A disk that fails meanwhile ends the curves, which is said, and not the training.

        Args:
            run: its name, parts with slashes between.
            step: counted from 1. What an interrupted start has written of the first step that comes
                here and of later ones is hidden.
            row: of the history; what is no number is left out.
        """
        if self._folder is None:
            return
        try:
            if run not in self._writers:
                from torch.utils.tensorboard import SummaryWriter

                self._writers[run] = SummaryWriter(str(self._folder / run), purge_step=step)
            for name, value in row.items():
                if isinstance(value, int | float):
                    self._writers[run].add_scalar(name, value, step)
            self._writers[run].flush()
        except OSError as error:
            say(f"machine.tensorboard: {error}; no more is written there")
            self._folder = None

    def close(self) -> None:
        """Finish the files."""
        if self._folder is not None:
            for writer in self._writers.values():
                writer.close()
