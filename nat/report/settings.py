"""The settings in use, an ablation's among them, and which results were made with them."""

import copy
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from nat.report.names import ALIGNMENTS, TARGETS, pace
from nat.runtime.errors import UserError
from nat.runtime.settings.params import SIFT_FISHER, pairs_of
from nat.runtime.settings.yaml_file import load

Settings = dict[str, Any]


def get(settings: Any, name: str) -> Any:
    """The setting of a dotted name, e.g. ``targets.k``; None if there is none."""
    for word in filter(None, name.split(".")):
        settings = settings.get(word) if isinstance(settings, dict) else None
    return settings


def with_override(settings: Settings, override: str) -> Settings:
    """The settings with those of ``override``, NAME=VALUE with commas between, in their place.

    Raises:
        UserError: there is no such setting.
        ValueError: it is not of this form.
    """
    changed = copy.deepcopy(settings)
    for name, value in pairs_of(override) if override else ():
        groups, _, last = name.rpartition(".")
        group = get(changed, groups)
        if not isinstance(group, dict) or last not in group:
            raise UserError(f"override {override!r}: params.yaml has no setting {name}")
        group[last] = load(value, f"override {override!r}")
    return changed


def matches(parameters: Any, in_use: Any) -> bool:
    """Whether every recorded setting is as it is in use; a setting not recorded does not matter."""
    if isinstance(parameters, dict):
        return isinstance(in_use, dict) and all(
            name in in_use and matches(value, in_use[name]) for name, value in parameters.items()
        )
    if isinstance(parameters, list | tuple):
        same = isinstance(in_use, list | tuple) and len(parameters) == len(in_use)
        return same and all(map(matches, parameters, in_use))
    return parameters == in_use and isinstance(parameters, bool) == isinstance(in_use, bool)


@dataclass(frozen=True)
class Variant:
    """A method with the settings of params.yaml, or with one of them, ``factor``, changed.

    ``override`` is empty for the method's own run; ``in_use`` are all of its settings.
    """

    method: str
    override: str
    factor: str
    value: Any
    in_use: Settings

    @property
    def name(self) -> str:
        """What tables call it, short."""
        kind = str(get(self.in_use, "target_type"))
        targets, *_ = TARGETS.get(kind, (kind,))
        named = {
            "targets.dimension": "{targets}, d = {value:,}",
            "targets.k": "{targets}, k = {value:,}",
            "target_type": "{targets}",
            "permute_every": pace(self.value),
            "alignment": f"{ALIGNMENTS.get(self.value, self.value)} alignment",
        }.get(self.factor, "{factor} = {value}")
        return named.format(targets=targets, value=self.value, factor=self.factor)


class Variants:
    """All that is to be measured: the methods, and their ablations as params.yaml lists them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        without_trunk = [SIFT_FISHER] if "fisher" in settings else []
        self.methods: list[str] = [*settings["methods"], *without_trunk]
        self.all = [self.own(method) for method in self.methods]
        for method in self.methods:
            for override in (settings.get("ablations") or {}).get(method, []):
                if self.canonical(method, override) is None:
                    factor, in_use = pairs_of(override)[-1][0], with_override(settings, override)
                    self.all.append(Variant(method, override, factor, get(in_use, factor), in_use))

    def own(self, method: str, factor: str = "") -> Variant:
        """A method's own run, as one of the values of a factor."""
        value = get(self.settings, factor) if factor else None
        return Variant(method, "", factor, value, self.settings)

    def canonical(self, method: str, override: str) -> Variant | None:
        """The variant that an override means, however it is written; None if none is listed."""
        with suppress(UserError, ValueError):
            in_use = with_override(self.settings, override)
            return next((v for v in self.all if v.method == method and v.in_use == in_use), None)
        return None

    def of(self, method: str, factor: str) -> list[Variant]:
        """The values of a setting, the method's own among them.

        Numbers ascend, ``never`` comes last; names are as listed behind the method's own. Only
        discrete targets have a k to compare, and only those on the sphere a dimension.
        """
        needed = {"targets.k": "onehot", "targets.dimension": "sphere"}.get(factor)
        listed = [v for v in self.all if v.method == method and v.factor == factor]
        if method in self.methods and get(self.settings, factor) is not None:
            listed.insert(0, self.own(method, factor))
        found = [v for v in listed if needed in (None, get(v.in_use, "target_type"))]
        return sorted(found, key=lambda v: v.value if isinstance(v.value, int) else float("inf"))
