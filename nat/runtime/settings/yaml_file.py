"""Files of settings as YAML, read with bounds: whatever a file holds, reading it ends soon.

Such a file is small and flat. Aliases, by which a few lines can stand for any amount of values, are
refused, as is deep nesting, and what YAML takes for a date or a number but cannot be one.
"""

import reprlib
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.constructor import ConstructorError, RoundTripConstructor, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent

from nat.runtime.errors import UserError
from nat.runtime.io.foreign import shortened

LARGEST = 2**16  # bytes of a file
DEEPEST = 8  # levels of groups and lists in each other
BRACKETS = 1000  # opening ones in a file: reading them takes time as their square


class _Composer(Composer):
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        mark = self.parser.peek_event().start_mark
        if self.parser.check_event(AliasEvent):
            raise MarkedYAMLError(problem="an alias; write the value itself", problem_mark=mark)
        if self.depth > DEEPEST:
            raise MarkedYAMLError(problem="nested too deep for a setting", problem_mark=mark)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def _marked(node: Any, error: Exception) -> ConstructorError:
    """What is no value, where it stands."""
    problem = f"{shown(node.value)} is no value of its kind ({error}); a text needs quotes"
    return ConstructorError(problem=problem, problem_mark=node.start_mark)


class _Plain(SafeConstructor):
    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            found = super().construct_object(node, deep)
            if isinstance(found, int) and found.bit_length() > 64:
                raise ValueError("too large")
            return found
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
            raise _marked(node, error) from error


class _WithComments(RoundTripConstructor):
    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
            raise _marked(node, error) from error


def yaml(comments: bool = False) -> YAML:
    """A reader with the bounds; with ``comments`` it keeps them, for a file to be written anew."""
    reader = YAML(typ="rt" if comments else "safe", pure=True)  # not by libyaml, which recurses
    reader.Composer = _Composer
    reader.Constructor = _WithComments if comments else _Plain
    return reader


def read_text(path: Path | str) -> str:
    """A file's text, every line's end a newline.

    Raises:
        UserError: it is too large, or no UTF-8.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise UserError(f"{path}: larger than {LARGEST:,} bytes, so no file of settings")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(
            f"{path}: line {line} is not UTF-8 (byte {content[error.start]:#04x}); save the file "
            "as UTF-8"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def load(text: str, place: object, comments: bool = False) -> Any:
    """What a text holds: groups, lists, texts, numbers, dates; None if nothing.

    Args:
        text: YAML.
        place: where it stands, for messages.
        comments: keep them (see ``yaml``).

    Raises:
        UserError: it is no YAML, or beyond the bounds.
    """
    if text.count("[") + text.count("{") > BRACKETS:
        raise UserError(f"{place}: more than {BRACKETS} lists in brackets, so no settings")
    try:
        return yaml(comments).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark is not None else ""
        what = error.problem or error.context or "wrong"
        raise UserError(f"{place}: not valid YAML: {where}{shortened(what)}") from error
    except YAMLError as error:
        raise UserError(f"{place}: not valid YAML: {shortened(str(error))}") from error
    except MemoryError:
        raise
    except Exception as error:  # ruamel meets some texts, such as `%YAML 1.0`, with asserts
        raise UserError(f"{place}: not valid YAML: {shortened(str(error))}") from error


class _Shown(reprlib.Repr):
    """Values of any size in a few words."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 2, 80, 80

    def repr_int(self, number: int, level: int) -> str:
        if number.bit_length() > 200:  # Python refuses to write very large ones
            return f"a number of {number.bit_length()} bits"
        return repr(number)


shown = _Shown().repr
