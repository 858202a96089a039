"""Reads the folder results/, and tells which results were made with the settings in use."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from nat.illustrate.arrays import Checked, Finite, Integer, Provenance
from nat.illustrate.detected import Detected, load_detected
from nat.illustrate.illustration import Illustration, load_illustration
from nat.report.names import data_name
from nat.report.settings import Settings, Variants, matches
from nat.runtime.errors import UserError
from nat.runtime.io.foreign import reading

SCHEMA = 1
ON_IMAGES, ON_VOC = ("train", "probe"), ("finetune-fc6-8", "finetune-all", "detect")
STAGES = (*ON_IMAGES, *ON_VOC)
PICKED = "illustrate"
FEATURES, DETECTIONS = "features.npz", "detections.npz"
LOADERS: dict[str, Callable[[Path], Illustration | Detected]] = {
    FEATURES: load_illustration,
    DETECTIONS: load_detected,
}
OTHER_SETTINGS, OTHER_DATA = "with other settings", "on other data"
NOT_LISTED, TWICE = "of methods or ablations that params.yaml does not list", "that are there twice"
OF_CLASS = ": "  # between a number's name and the class it is of

Name = Annotated[str, Field(min_length=1, max_length=200)]
Number = Finite | None


class Content(Checked):
    """A file of results/: numbers, and where they come from."""

    stage: Name
    method: Name
    override: Annotated[str, Field(max_length=1000)]
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    measured: dict[str, Number | dict[str, Number]]
    checkpoints: list[dict[str, Number]] = []
    history: list[dict[str, Number]] = []
    provenance: Provenance


@dataclass(frozen=True)
class Result:
    """A file of results/.

    Attributes:
        file: its name, results/ first; never an absolute path.
        stage: the folder that it lies in.
        method: whose numbers they are.
        override: as params.yaml writes it; empty for the method's own run.
        seed: of the run.
        measured: numbers by name, in percent but for losses and costs.
        history: of a training, a row for each epoch.
        provenance: see nat/runtime/provenance.py.
        dropped: why it does not count; empty if it does.
    """

    file: str
    stage: str
    method: str
    override: str
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
    def run(self) -> tuple[str, str, int]:
        """The training that it is of."""
        return self.method, self.override, self.seed


@dataclass(frozen=True)
class Picked:
    """A file of what figures show of one seed: its name, results/ first, and its content."""

    seed: int
    file: str
    content: Any = field(repr=False)  # Illustration or Detected


def read_results(
    folder: Path, variants: Variants, store: str | None
) -> tuple[list[Result], list[Picked]]:
    """Every result, with why it does not count if it does not, and what the figures show.

    A result counts if params.yaml lists its method and ablation, if it was made with the settings
    in use, and on the same data as the others. So does what was measured of a training only if the
    training's own result counts.

    Args:
        folder: results/.
        variants: what params.yaml lists.
        store: of the image store in use; None: the one of most results.

    Raises:
        UserError: a file is foreign, damaged or of another version, or nothing counts.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: not found; make it with `dvc repro`")
    found, seeds = [], []
    for entry in _visible(folder):
        if entry.name == PICKED and entry.is_dir():
            seeds = _visible(entry)
        elif entry.name in STAGES and entry.is_dir():
            found += [_read(file, entry.name, folder) for file in _visible(entry)]
        else:
            raise _foreign(entry)
    results = _judged(sorted(found, key=_place), variants, store)
    if all(result.dropped for result in results):
        raise UserError(
            f"{folder}: none of its {len(results)} results was made with the settings in use; "
            "make them with `dvc repro`"
        )
    dropped = {result.run for result in results if result.stage == "train" and result.dropped}
    return results, list(_pick(seeds, folder, variants.settings, dropped))


def _visible(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _foreign(path: Path) -> UserError:
    return UserError(f"{path}: is no result of this project; move it out of the results")


def _place(result: Result) -> tuple[int, str, str, int, str]:
    return STAGES.index(result.stage), result.method, result.override, result.seed, result.file


def _read(path: Path, stage: str, folder: Path) -> Result:
    if path.suffix != ".json" or not path.is_file():
        raise _foreign(path)
    with reading(path, "result of this project", "move it away, or make it again with `dvc repro`"):
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and content.get("schema", SCHEMA) != SCHEMA:
            raise UserError(f"{path}: made by another version; make it again with `dvc repro`")
        if not isinstance(content, dict) or "schema" not in content:
            raise ValueError("it has no number of its schema")
        made = Content.model_validate(content)
        if made.stage != stage:
            raise ValueError(f"it is of the stage {made.stage}, but lies in {stage}")
    numbers = dict(_numbers(made))
    where = made.provenance.model_dump()
    name = f"{folder.resolve().name}/{stage}/{path.name}"
    rows = tuple(made.history)
    return Result(name, stage, made.method, made.override, made.seed, numbers, where, rows)


def _numbers(made: Content) -> Iterator[tuple[str, float]]:
    """All numbers by name, without what is null; epochs of a training stay in its history."""
    for name, value in made.measured.items():
        each = value if isinstance(value, dict) else {}
        yield from ((f"{name}{OF_CLASS}{one}", v) for one, v in each.items() if v is not None)
        if not isinstance(value, dict) and value is not None:
            yield name, value
    for row in made.checkpoints:
        epoch = row.get("epoch")
        for name, number in row.items():
            if name != "epoch" and epoch is not None and number is not None:
                yield checkpoint(int(epoch), name), number


def checkpoint(epoch: int, probe: str) -> str:
    """The name of a number that was measured at an epoch before the last."""
    return f"epoch {epoch}, {probe}"


def _judged(results: list[Result], variants: Variants, store: str | None) -> list[Result]:
    """The results with the override as it is listed, and why they do not count."""
    found: dict[tuple[str, str, str, int], Result] = {}
    judged, twice = [], {}
    for result in results:
        own = (result.stage, *result.run)
        if own in twice:
            raise UserError(f"{result.file}: holds the same run as {twice[own]}; move one away")
        twice[own] = result.file
        variant = variants.canonical(result.method, result.override)
        if variant is None:
            judged.append(replace(result, dropped=NOT_LISTED))
            continue
        named = replace(result, override=variant.override)
        if not matches(named.provenance["parameters"], variant.in_use):
            judged.append(replace(named, dropped=OTHER_SETTINGS))
        else:
            once = found.setdefault((named.stage, *named.run), named) is named
            judged.append(named if once else replace(result, dropped=TWICE))
    judged = _of_one_store(_of_one_store(judged, ON_IMAGES, store), ON_VOC, None)
    trained = [result for result in judged if result.stage == "train"]
    counted = {result.run for result in trained if not result.dropped}
    lost = {r.run: r.dropped for r in trained if r.run not in counted}
    return [r if r.dropped else replace(r, dropped=lost.get(r.run, "")) for r in judged]


def _of_one_store(
    results: list[Result], stages: tuple[str, ...], store: str | None
) -> list[Result]:
    """Drops what was measured on other data than the most, or than ``store``."""

    def name(result: Result) -> tuple[str, str]:
        return result.provenance["data"], result.provenance["store"] or ""

    asked = [result for result in results if result.stage in stages and not result.dropped]
    counts = Counter(name(result) for result in asked if store in (None, name(result)[1]))
    most = min(counts, key=lambda one: (-counts[one], one), default=None)
    return [
        replace(result, dropped=OTHER_DATA) if result in asked and name(result) != most else result
        for result in results
    ]


def _pick(
    entries: list[Path], folder: Path, settings: Settings, dropped: set[tuple[str, str, int]]
) -> Iterator[Picked]:
    for entry in sorted(entries, key=lambda e: (len(e.name), e.name)):
        if not (entry.is_dir() and entry.name.isascii() and entry.name.isdecimal()):
            raise _foreign(entry)
        for path in _visible(entry):
            if path.name not in LOADERS:
                raise _foreign(path)
            content = LOADERS[path.name](path)
            seed, name = int(entry.name), f"{PICKED}/{entry.name}/{path.name}"
            lost = {(method, "", seed) for method in ("nat", "labels")} & dropped
            if not lost and matches(content.provenance["parameters"], settings):
                yield Picked(seed, f"{folder.resolve().name}/{name}", content)
