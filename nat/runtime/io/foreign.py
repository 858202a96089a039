"""What all readers of files from outside share: a damaged file is told of in one line."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from nat.runtime.errors import UserError


@contextmanager
def reading(path: Path | str, what: str, remedy: str) -> Iterator[None]:
    """Tell of whatever a missing or damaged file raises, within, by its name.

    Parsers meet foreign bytes with errors of every kind, so all are taken for the file's fault but
    a lack of memory: what is read within must bound its memory by the file's length beforehand.

    Args:
        path: of the file.
        what: it should be.
        remedy: what to do, such as "make it with `python -m nat targets`".

    Raises:
        UserError: in place of any other error.
    """
    try:
        # of a pipe, opening waits; a device has no end
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise ValueError("it is no regular file")
        yield
    except (UserError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found; {remedy}") from error
    except Exception as error:
        raise UserError(f"{path}: no {what} ({reason(error)}); {remedy}") from error


def reason(error: Exception) -> str:
    """What is wrong, in one line."""
    if isinstance(error, ValidationError):
        fault = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in fault["loc"])
        text = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
        return shortened(f"{name}: {text}" if name else text)
    if isinstance(error, KeyError):
        return shortened(f"lacks {error}")
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return shortened(text or type(error).__name__)


def shortened(text: str, most: int = 200) -> str:
    """A text from outside in one line of printable characters, at most ``most`` of them."""
    line = "".join(c if c.isprintable() else " " for c in text[: 4 * most])
    line = " ".join(line.split())
    return line if len(line) <= most else f"{line[:most]}..."
