"""The one exception that is shown to a user as a single line."""


class UserError(Exception):
    """Something the user can mend: the message names the culprit and the remedy, in one line."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(" ".join(message.splitlines())))


def printable(text: str) -> str:
    """Text with escapes for what is not printable, such as a line's end, or a file's odd bytes."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
