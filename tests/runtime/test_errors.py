"""A user's error is one line, whatever its message is made of."""

from hypothesis import example, given
from hypothesis import strategies as st

from nat.runtime.errors import UserError


@given(st.text())
@example("a\nb\0c\x1b[0m\udc95")
def test_a_message_is_printable(text: str) -> None:
    said = str(UserError(text))
    assert said.isprintable()
    if text.isprintable():
        assert said == text


def test_lines_are_joined_and_odd_letters_escaped() -> None:
    assert str(UserError("a\nb\0c")) == "a b\\x00c"
