"""Sentences in which numbers stay numbers, so that each rendering can tell where they come from."""

from dataclasses import dataclass
from typing import Union

from nat.report.table import Cell, Missing, Quoted


@dataclass(frozen=True)
class Strong:
    """Set in bold."""

    words: "Words"


@dataclass(frozen=True)
class Code:
    """A name of a file, a command or a setting."""

    text: str


@dataclass(frozen=True)
class Link:
    """A file of the reports, by its path beside the page."""

    text: str
    target: str


@dataclass(frozen=True)
class Break:
    """The end of one of several items: a semicolon, and a new line where there is room for it."""


Word = Union[str, Cell, Strong, Code, Link, Break]  # noqa: UP007 - Strong names Words before it is made
Words = tuple[Word, ...]


def plain(words: Words) -> str:
    """The bare text."""
    return "".join(_plain(word) for word in words)


def _plain(word: Word) -> str:
    if isinstance(word, Strong):
        return plain(word.words)
    if isinstance(word, Break):
        return "; "
    if isinstance(word, Quoted | Code | Link):
        return word.text
    return word.why if isinstance(word, Missing) else str(word)


def itemised(items: list[Words]) -> Words:
    """Items one after the other, breaks between them."""
    found: list[Word] = []
    for index, item in enumerate(items):
        found += [Break(), *item] if index else item
    return tuple(found)
