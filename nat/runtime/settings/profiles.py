"""Profiles: settings for params.yaml by name.

params.yaml itself is the profile ``embedded``; every other one is a file in profiles/ that holds
only what differs. Each opens with a header, comment lines up to the first blank one, which tells
what to expect. A switch writes params.yaml anew from both, so that nothing of the former profile
lingers; meanwhile the embedded one is kept beside it as params.embedded.yaml, and switching back
gives the same bytes. The group ``machine`` alone is carried over.
"""

import json
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.scalarbool import ScalarBoolean

from nat.runtime.errors import UserError
from nat.runtime.io.files import atomic_write
from nat.runtime.io.outputs import FILE_OF_OURS
from nat.runtime.settings.load import check_params
from nat.runtime.settings.yaml_file import load, read_text, shown, yaml

BASE = "embedded"
OWN = ("machine", "profile")  # the machine's, and the file's name: no profile sets them
SHOWN = 5
LONGEST = 200  # characters of a value in a message
NOTHING = "nothing"


class _Representer(RoundTripRepresenter):
    """Writes None as ``null``, as params.yaml does, not as an empty place."""


_Representer.add_representer(
    type(None), lambda self, _: self.represent_scalar("tag:yaml.org,2002:null", "null")
)


def base_of(path: Path) -> Path:
    """The file of the embedded profile: ``path``, or where a switch has kept it.

    Args:
        path: params.yaml.

    Raises:
        UserError: there is none.
    """
    kept = _kept(path)
    if kept.exists():
        return kept
    if not path.exists():
        raise UserError(f"{path}: not found; run in the project's folder")
    name = _load(read_text(path), path).get("profile")
    if name != BASE:
        raise UserError(
            f"{path}: profile: {_shown(name)}, but {kept}, which other profiles differ from, is "
            "gone; restore either file, for instance with `git checkout`"
        )
    return path


def profiles(folder: Path, base: Path) -> dict[str, str]:
    """The profiles, sorted by name, with their headers as plain text.

    Args:
        folder: of those that differ from the embedded one.
        base: the file of the embedded one.

    Raises:
        UserError: one has no header.
    """
    names = sorted({BASE, *(file.stem for file in folder.glob("[!.]*.yaml"))})
    headers = {name: _parts(_file(name, folder, base))[0] for name in names}
    return {name: re.sub(r"(?m)^# ?", "", header) for name, header in headers.items()}


def render(name: str, folder: Path, base: Path, machine: dict[str, Any] | None = None) -> str:
    """The parameter file of a profile.

    Args:
        name: of the profile.
        folder: of those that differ from the embedded one.
        base: the file of the embedded one.
        machine: values for settings of the group ``machine``; unknown names are left out.

    Raises:
        UserError: no such profile; one that is no YAML, names an unknown setting or one that no
            profile sets; values that the schema refuses.
    """
    known = profiles(folder, base)
    if name not in known:
        raise UserError(f"{folder}: no profile {shown(name)}; known: {', '.join(known)}")
    file = _file(name, folder, base)
    header, changed = _parts(file)
    _, text = _parts(base)
    content = _load(text, base)
    check_params(_plain(content), base)
    for key, value in (machine or {}).items():
        if key in content["machine"] and content["machine"][key] != value:
            _set(content["machine"], key, value)
    if name != BASE:
        changes = _load(changed, file)
        for key in OWN:
            if key in changes:
                raise UserError(f"{file}: {key}: is set by no profile; leave it out")
        _overlay(content, changes, file)
        _set(content, "profile", name)
        check_params(_plain(content), file)
    same = _plain(content) == _plain(_load(text, base))
    return f"{header}\n\n{text if same else _dump(content)}"


def listing(path: Path, folder: Path) -> list[str]:
    """The profiles and what to expect of each, as lines for people."""
    return [
        line
        for name, header in profiles(folder, base_of(path)).items()
        for line in (name, *(f"  {line}" for line in header.splitlines()), "")
    ]


def switch(name: str, path: Path, folder: Path, force: bool = False) -> list[str]:
    """Write the parameter file of a profile to ``path``, whole.

    The embedded profile is kept beside ``path`` meanwhile, with whatever was edited in it. Another
    one that differs from its file, in a value or a comment, holds somebody's edits: it is not
    overwritten without ``force``, and then kept under another name.

    Args:
        name: of the profile.
        path: params.yaml; need not exist where the embedded profile is kept.
        folder: of the profiles that differ from the embedded one.
        force: whether to overwrite edits.

    Returns:
        What was done, as lines for people: the changed settings as ``NAME: OLD -> NEW``, where
        the former file is if it had edits, and last the profile.

    Raises:
        UserError: as ``render``; edits; a file that is no YAML.
    """
    base, kept_base = base_of(path), _kept(path)
    edits: list[str] = []
    if not path.exists():
        former = CommentedMap()
        text = render(name, folder, base)
    else:
        former = _load(read_text(path), path)
        machine = former.get("machine")
        machine = dict(machine) if isinstance(machine, dict) else {}
        if base != path:
            edits = _edits(former, path, folder, base, machine)
        text = render(name, folder, base, machine)
    if edits and not force:
        more = f" and {len(edits) - SHOWN} more" if len(edits) > SHOWN else ""
        raise UserError(
            f"{path}: has edits that a switch would lose ({'; '.join(edits[:SHOWN])}{more}); "
            "undo them, make them a profile, or let --force keep a copy"
        )
    lines = _differences(former, _load(text, path))
    if edits:
        content = path.read_bytes()
        # a switch that failed has left a copy already
        kept = next(new for new in _copies(path) if not new.exists() or _holds(new, content))
        lines.append(f"the former file is now {kept}")
        if not kept.exists():
            with atomic_write(kept) as temporary:
                temporary.write_bytes(content)
    if base == path and name != BASE:
        with atomic_write(kept_base) as temporary:
            temporary.write_bytes(path.read_bytes())
    with atomic_write(path, FILE_OF_OURS) as temporary:  # what is there has no edits, or was kept
        temporary.write_text(text, encoding="utf-8")
    if name == BASE:
        kept_base.unlink(missing_ok=True)
    return [*lines, f"{path}: {name}"]


def _edits(
    former: CommentedMap, path: Path, folder: Path, base: Path, machine: dict[str, Any]
) -> list[str]:
    """How ``former`` differs from the profile it names, empty if it does not."""
    name = former.get("profile")
    if not isinstance(name, str) or name not in profiles(folder, base):
        return [f"profile: {_shown(name)} is none of {folder}"]
    text = render(name, folder, base, machine)
    edits = _differences(_load(text, path), former)
    # values, then comments; not the layout, which `dvc exp run -S` changes
    if not edits and re.findall("#.*", text) != re.findall("#.*", read_text(path)):
        edits = ["comments"]
    return edits


def _copies(path: Path) -> Iterator[Path]:
    yield path.with_name(f"{path.name}.bak")
    number = 2
    while True:
        yield path.with_name(f"{path.name}.bak{number}")
        number += 1


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _kept(path: Path) -> Path:
    return path.with_name(f"{path.stem}.{BASE}{path.suffix}")


def _file(name: str, folder: Path, base: Path) -> Path:
    return base if name == BASE else folder / f"{name}.yaml"


def _parts(file: Path) -> tuple[str, str]:
    """A profile's header and settings."""
    header, _, settings = read_text(file).partition("\n\n")
    if not all(line.startswith("#") for line in header.splitlines()) or not header:
        raise UserError(
            f"{file}: should open with comment lines that tell what to expect, then a blank line"
        )
    return header, settings


def _yaml() -> YAML:
    writer = yaml(comments=True)
    writer.Representer = _Representer
    writer.width = 4096
    writer.indent(mapping=2, sequence=4, offset=2)
    return writer


def _load(text: str, place: Path) -> CommentedMap:
    load(text, place)  # with comments some values are kept that are none
    content = load(text, place, comments=True)
    if content is None:
        return CommentedMap()
    if not isinstance(content, CommentedMap):
        raise UserError(f"{place}: should hold named settings, such as `permute_every: 3`")
    return content


def _dump(content: CommentedMap) -> str:
    stream = StringIO()
    _yaml().dump(content, stream)
    return stream.getvalue()


def _plain(content: Any) -> Any:
    """Without comments: dict, list, str, int, float, bool, None."""
    match content:
        case dict():
            return {_plain(key): _plain(value) for key, value in content.items()}
        case list():
            return [_plain(value) for value in content]
        case bool() | ScalarBoolean():
            return bool(content)
        case int():  # numbers and texts without how they are written in the file
            return int(content)
        case float():
            return float(content)
        case str():
            return str(content)
    return content


def _overlay(base: CommentedMap, changes: CommentedMap, file: Path, group: str = "") -> None:
    """Set ``changes`` in ``base``, which must know all of them."""
    for key, value in changes.items():
        name = f"{group}{key}"
        if key not in base:
            raise UserError(
                f"{file}: {name}: unknown setting; known here: {', '.join(map(str, base))}"
            )
        if isinstance(value, CommentedMap) != isinstance(base[key], CommentedMap):
            what = "one setting" if isinstance(value, CommentedMap) else "a group of settings"
            raise UserError(f"{file}: {name}: is {what} in the profile {BASE}")
        if isinstance(value, CommentedMap):
            _overlay(base[key], value, file, f"{name}.")
            continue
        _set(base, key, value)


def _set(group: CommentedMap, key: str, value: Any) -> None:
    """Set a value; the comment behind it stays, one space behind the new one."""
    if isinstance(value, CommentedSeq):
        former = group[key]
        value = CommentedSeq(value)  # without the comments of the profile's file
        if isinstance(former, CommentedSeq) and former.fa.flow_style() is False:
            # what stands below the list in the file is kept with its last value
            if value and (below := former.ca.items.get(len(former) - 1)):
                value.ca.items[len(value) - 1] = below
        else:
            value.fa.set_flow_style()
    group[key] = value
    behind = group.ca.items.get(key, [None] * 3)[2]
    if behind is not None:
        behind.column = 0


def _leaves(content: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(content, dict):
        return {name: content}
    found: dict[str, Any] = {}
    for key, value in content.items():
        found |= _leaves(value, f"{name}.{key}" if name else str(key))
    return found


def _differences(old: CommentedMap, new: CommentedMap) -> list[str]:
    """``NAME: OLD -> NEW`` for every setting that differs, in the order of ``new``."""
    before, after = _leaves(_plain(old)), _leaves(_plain(new))
    shown = {
        name: [NOTHING if name not in side else _shown(side[name]) for side in (before, after)]
        for name in [*after, *(name for name in before if name not in after)]
    }
    return [f"{name}: {a} -> {b}" for name, (a, b) in shown.items() if a != b]


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, skipkeys=True)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
