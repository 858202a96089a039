"""Whatever a parameter file holds: settings, or one line that names what is wrong, and soon."""

import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from tiny import EMBEDDED, PROJECT

from nat.runtime.errors import UserError
from nat.runtime.settings.load import load_params
from nat.runtime.settings.params import Params
from nat.runtime.settings.profiles import switch
from nat.runtime.settings.yaml_file import LARGEST, load, read_text, shown

TEXT = EMBEDDED.read_text()
SECONDS = 20  # far more than any file needs; without the bounds some take hours
LAUGHS = "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9) or 0}]" for i in range(1, 30))
HOSTILE = [
    "2020-99-99",
    "!!float x",
    "!!bool x",
    "!!binary x",
    "!!python/object/apply:os.system [x]",
    "!!omap 3",
    "!!set {1: 2}",
    "!!timestamp x",
    "0x" + "f" * 5000,
    "1" * 5000,
    "1e999",
    ".nan",
    '"\\UFFFFFFFF"',
    '"\\ud800"',
    "[" * 900 + "]" * 900,
    "[" * 50_000,
    "- " * 3000,
    "&a [*a]",
    "{<<: 3}",
    "{a: 1, a: 2}",
    "\tx",
    "? [a]",
    "|",
    "%YAML 1.1111111111111111111\n---\n",
    "*a",
    "- a\n- b: c: d",
    "\x00",
    "'",
]


def names() -> list[str]:
    found = []
    for name, field in Params.model_fields.items():
        group = getattr(field.annotation, "model_fields", None)
        found += [f"{name}.{inner}" for inner in group] if group else [name]
    return found


def quickly(read: object, *words: object) -> None:
    """Call; only the user's error may come out, in one line, and soon."""
    start = time.monotonic()
    with suppress(UserError):
        read(*words)  # type: ignore[operator]
    assert time.monotonic() - start < SECONDS


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_values_are_refused_soon(value: str, tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    for text in (
        value,
        TEXT.replace("permute_every: 3", f"permute_every: {value}"),
        TEXT.replace("seeds: [0]", f"seeds: {value}"),
        TEXT.replace("scratch: scratch", f"scratch: {value}"),
    ):
        file.write_text(text)
        quickly(load_params, file)
        quickly(switch, "embedded", file, PROJECT / "profiles")
    quickly(load_params, EMBEDDED, (f"permute_every={value}",))
    with pytest.raises(UserError):
        load_params(EMBEDDED, (f"seeds={value}",))


VALUES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(HOSTILE),
    st.integers(-(10**30), 10**30).map(str),
    st.floats().map(str),
    st.lists(st.one_of(st.integers(), st.floats(), st.text(max_size=5)), max_size=4).map(str),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=3).map(str),
    st.dates().map(str),
)
FUZZ = settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@FUZZ
@given(st.sampled_from(names()), VALUES)
@example("pretrain.lr", "1" + "0" * 400)
@example("machine.scratch", "'~nobodyhere/x'")
def test_any_value_by_set(name: str, value: str) -> None:
    quickly(load_params, EMBEDDED, (f"{name}={value}",))


@FUZZ
@given(
    start=st.integers(0, len(TEXT)),
    length=st.integers(0, 200),
    new=st.one_of(
        VALUES.map(lambda text: text.encode(errors="surrogatepass")), st.binary(max_size=40)
    ),
)
def test_any_damage_of_the_file(start: int, length: int, new: bytes, tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    content = TEXT.encode()
    file.write_bytes(content[:start] + new + content[start + length :])
    quickly(load_params, file)
    quickly(switch, "cifar10", file, PROJECT / "profiles")
    profiles = tmp_path / "profiles"
    profiles.mkdir(exist_ok=True)
    (tmp_path / "new.embedded.yaml").write_bytes(b"# what to expect\n\n" + file.read_bytes())
    (profiles / "mine.yaml").write_bytes(b"# what to expect\n\n" + file.read_bytes()[start:][:500])
    quickly(switch, "mine", tmp_path / "new.yaml", profiles)
    quickly(switch, "embedded", tmp_path / "new.yaml", profiles)


def test_aliases_cannot_multiply(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    for text in (LAUGHS, f"{TEXT}\n{LAUGHS}", TEXT.replace("seeds: [0]", "seeds: &s [0]\nx: *s")):
        file.write_text(text)
        with pytest.raises(UserError, match=r"line \d+: an alias; write the value itself"):
            load_params(file)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            b"# l_0",
            b"# gr\xf6\xdfe",
            r"line \d+ is not UTF-8 \(byte 0xf6\); save the file as UTF-8",
        ),
        (b"permute_every: 3", b"permute_every: 2020-99-99", r"line \d+: '2020-99-99' is no value"),
        (b"  flip: true", b"\tflip: true", r"line \d+: .*'\\t'"),
        (b"permute_every: 3", b"permute_every: 3\npermute_every: 6", r"duplicate key"),
        (b"permute_every: 3", b"permute_every: " + b"[" * 20 + b"]" * 20, "nested too deep"),
        (b"seeds", b"#" * LARGEST + b"\nseeds", "larger than 65,536 bytes"),
    ],
)
def test_the_culprit_is_named(old: bytes, new: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    content = TEXT.encode()
    assert old in content
    file.write_bytes(content.replace(old, new, 1))
    with pytest.raises(UserError, match=rf"params\.yaml: .*{said}"):
        load_params(file)
    with pytest.raises(UserError, match=rf"params\.yaml: .*{said}"):
        switch("cifar10", file, PROJECT / "profiles")


def test_an_endless_file_ends() -> None:
    with pytest.raises(UserError, match="larger than"):
        load_params("/dev/zero")


def test_newlines_and_marks_of_other_systems_are_read(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    assert load_params(file) == load_params(EMBEDDED)
    assert read_text(file) == TEXT


def test_values_are_shown_in_a_few_words() -> None:
    nested: list = [0]
    for _ in range(200):
        nested = [nested] * 9
    assert all(len(shown(value)) < 500 for value in (nested, "x" * 9999, 16**5000, {1: nested}))
    assert load("a: 1", "here") == {"a": 1}
