"""Reads the folder results/, and tells which results were made with the settings in use."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from nat.illustrate.arrays import Checked, Finite, Provenance
from nat.illustrate.detected import Detected, load_detected
from nat.illustrate.illustration import Illustration, load_illustration
from nat.report.names import data_name
from nat.report.settings import Settings, Variants, matches
from nat.runtime.errors import UserError
from nat.runtime.io.foreign import reading

SCHEMA = 1
ON_IMAGES, ON_VOC = ("train", "probe"), ("finetune-fc6-8", "finetune-all", "detect")
STAGES = (*ON_IMAGES, *ON_VOC)
PICKED, FEATURES, DETECTIONS = "illustrate", "features.npz", "detections.npz"
LOADERS: dict[str, Callable[[Path], Illustration | Detected]] = {
    FEATURES: load_illustration,
    DETECTIONS: load_detected,
}
OTHER_SETTINGS, OTHER_DATA = "with other settings", "on other data"
NOT_LISTED, TWICE = "of methods or ablations that params.yaml does not list", "that are there twice"
OF_CLASS = ": "  # between a number's name and the class it is of

Name = Annotated[str, Field(min_length=1, max_length=200)]
Numbers = dict[str, Finite | None]


class Content(Checked):
    """A file of results/: numbers, and where they come from."""

    number: Literal[1] = Field(alias="schema")
    stage: Name
    method: Name
    override: Annotated[str, Field(max_length=1000)]
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    measured: dict[str, Finite | Numbers | None]
    checkpoints: tuple[Numbers, ...] = Field((), strict=False)
    history: tuple[Numbers, ...] = Field((), strict=False)
    provenance: Provenance


class Run(NamedTuple):
    """What is the same for all seeds; ``override`` is empty for the method's own run."""

    stage: str
    method: str
    override: str = ""


@dataclass(frozen=True)
class Result:
    """A file of results/: ``file`` is its name, results/ first; never an absolute path.

    ``measured`` are numbers by name, in percent but for losses and costs; ``history`` has a row for
    each epoch of a training. ``dropped`` is why it does not count; empty if it does.
    """

    file: str
    run: Run
    seed: int
    measured: dict[str, float] = field(repr=False)
    provenance: dict[str, Any] = field(repr=False)
    history: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    dropped: str = ""

    @property
    def data(self) -> str:
        """The name for people of the data it was measured on."""
        return data_name(self.provenance["data"])

    @property
    def training(self) -> tuple[str, str, int]:
        """Method, override and seed."""
        return (*self.run[1:], self.seed)


class Picked(NamedTuple):
    """A file of what figures show of one seed: its name, results/ first, and its content."""

    seed: int
    file: str
    content: Any  # Illustration or Detected


def read_results(
    folder: Path, variants: Variants, store: str | None
) -> tuple[list[Result], list[Picked]]:
    """Every result, with why it does not count if it does not, and what the figures show.

    A result counts if params.yaml lists its method and ablation, if it was made with the settings
    in use, and on the same data as the others: those of the image store ``store``, or of most
    results. What was measured of a training counts only if the training's own result does.

    Raises:
        UserError: a file is foreign, damaged or of another version, or nothing counts.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: not found; make it with `dvc repro`")
    found: list[Result] = []
    seeds: list[Path] = []
    for entry in _visible(folder):
        if entry.name not in (PICKED, *STAGES) or not entry.is_dir():
            raise _foreign(entry)
        if entry.name == PICKED:
            seeds = sorted(_visible(entry), key=lambda e: (len(e.name), e.name))
        else:
            found += [_read(file, entry.name, folder) for file in _visible(entry)]
    found.sort(key=lambda r: (STAGES.index(r.run.stage), *r.training))
    for one, other in pairwise(found):
        if (one.run, one.seed) == (other.run, other.seed):
            raise UserError(f"{other.file}: is of the same run as {one.file}; move one away")
    results = _judged(found, variants, store)
    if all(result.dropped for result in results):
        raise UserError(
            f"{folder}: none of its {len(results)} results was made with the settings in use; "
            "make them with `dvc repro`"
        )
    dropped = {r.training for r in results if r.run.stage == "train" and r.dropped}
    return results, list(_pick(seeds, folder, variants.settings, dropped))


def _visible(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _foreign(path: Path) -> UserError:
    return UserError(f"{path}: is no result of this project; move it out of the results")


def _read(path: Path, stage: str, folder: Path) -> Result:
    if path.suffix != ".json" or not path.is_file():
        raise _foreign(path)
    with reading(path, "result of this project", "move it away, or make it again with `dvc repro`"):
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and content.get("schema", SCHEMA) != SCHEMA:
            raise UserError(f"{path}: made by another version; make it again with `dvc repro`")
        made = Content.model_validate(content)
        if made.stage != stage:
            raise ValueError(f"it is of the stage {made.stage}, but lies in {stage}")
    name, run = (
        f"{folder.resolve().name}/{stage}/{path.name}",
        Run(stage, made.method, made.override),
    )
    numbers = {name: value for name, value in _numbers(made) if value is not None}
    return Result(name, run, made.seed, numbers, made.provenance.model_dump(), made.history)


def _numbers(made: Content) -> Iterator[tuple[str, float | None]]:
    """All numbers by name; epochs of a training stay in its history."""
    for name, value in made.measured.items():
        if isinstance(value, dict):
            yield from ((f"{name}{OF_CLASS}{one}", each) for one, each in value.items())
        else:
            yield name, value
    for row in made.checkpoints:
        for name, number in row.items():
            if name != "epoch":
                yield checkpoint(int(row.get("epoch") or 0), name), number


def checkpoint(epoch: int, probe: str) -> str:
    """The name of a number that was measured at an epoch before the last."""
    return f"epoch {epoch}, {probe}"


def _judged(results: list[Result], variants: Variants, store: str | None) -> list[Result]:
    """The results with the override as it is listed, and why they do not count."""
    judged, seen = [], set()
    for result in results:
        variant = variants.canonical(*result.run[1:])
        if variant is None:
            judged.append(replace(result, dropped=NOT_LISTED))
            continue
        named = replace(result, run=result.run._replace(override=variant.override))
        if not matches(named.provenance["parameters"], variant.in_use):
            judged.append(replace(named, dropped=OTHER_SETTINGS))
        elif (named.run, named.seed) in seen:
            judged.append(replace(result, dropped=TWICE))
        else:
            seen.add((named.run, named.seed))
            judged.append(named)
    judged = _of_one_store(_of_one_store(judged, ON_IMAGES, store), ON_VOC, None)
    trained = [result for result in judged if result.run.stage == "train"]
    counted = {result.training for result in trained if not result.dropped}
    lost = {r.training: r.dropped for r in trained if r.training not in counted}
    return [r if r.dropped else replace(r, dropped=lost.get(r.training, "")) for r in judged]


def _of_one_store(
    results: list[Result], stages: tuple[str, ...], store: str | None
) -> list[Result]:
    """Drops what was measured on other data than the most, or than ``store``."""

    def data(result: Result) -> tuple[str, str]:
        return result.provenance["data"], result.provenance["store"] or ""

    asked = [result for result in results if result.run.stage in stages and not result.dropped]
    counts = Counter(data(result) for result in asked if store in (None, data(result)[1]))
    most = min(counts, key=lambda one: (-counts[one], one), default=None)
    lost = {result.file for result in asked if data(result) != most}
    return [replace(r, dropped=OTHER_DATA) if r.file in lost else r for r in results]


def _pick(
    seeds: list[Path], folder: Path, settings: Settings, dropped: set[tuple[str, str, int]]
) -> Iterator[Picked]:
    for place in seeds:
        if not (place.is_dir() and place.name.isascii() and place.name.isdecimal()):
            raise _foreign(place)
        for path in _visible(place):
            if path.name not in LOADERS:
                raise _foreign(path)
            content, seed = LOADERS[path.name](path), int(place.name)
            lost = {(method, "", seed) for method in ("nat", "labels")} & dropped
            if not lost and matches(content.provenance["parameters"], settings):
                name = f"{folder.resolve().name}/{PICKED}/{place.name}/{path.name}"
                yield Picked(seed, name, content)
