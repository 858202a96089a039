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
    """A method with the settings of params.yaml, or with some of them changed.

    ``changed`` are their names. ``factor`` is the one whose ``value`` is compared with others, with
    ``target_type`` beside it where it is of targets; empty where more than that was changed, which
    is comparable with the method's own run alone. ``override`` is empty for that run; ``in_use``
    are all settings of this one.
    """

    method: str
    override: str
    factor: str
    value: Any
    in_use: Settings
    changed: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What tables call it, short."""
        if self.factor:
            return self._named(self.factor, pace(self.value))
        period = get(self.in_use, "permute_every")
        updated = "P fixed" if period == "never" else f"P updated {pace(period)}"
        of_targets = any(name.startswith("targets.") for name in self.changed)
        told = (name for name in self.changed if name != "target_type" or not of_targets)
        return ", ".join(self._named(name, updated) for name in told)

    def _named(self, setting: str, updated: str) -> str:
        kind, value = str(get(self.in_use, "target_type")), get(self.in_use, setting)
        targets, *_ = TARGETS.get(kind, (kind,))
        named = {
            "targets.dimension": "{targets}, d = {value:,}",
            "targets.k": "{targets}, k = {value:,}",
            "target_type": "{targets}",
            "permute_every": "{updated}",
            "alignment": f"{ALIGNMENTS.get(value, value)} alignment",
            "pretrain.epochs": "{value:,} epochs",
        }.get(setting, "{setting} = {value}")
        return named.format(targets=targets, value=value, setting=setting, updated=updated)


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
                    self.all.append(self._changed(method, override))

    def _changed(self, method: str, override: str) -> Variant:
        in_use = with_override(self.settings, override)
        names = tuple(dict.fromkeys(name for name, _ in pairs_of(override)))
        beside = {"target_type"} if any(name.startswith("targets.") for name in names) else set()
        compared = [name for name in names if name not in beside]
        factor = compared[0] if len(compared) == 1 else ""
        value = get(in_use, factor) if factor else None
        return Variant(method, override, factor, value, in_use, names)

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
