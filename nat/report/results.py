"""Reads the folder results/, and tells which results were made with the settings in use."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from nat.illustrate.arrays import Checked, Finite, Provenance
from nat.illustrate.detected import load_detected
from nat.illustrate.illustration import load_illustration
from nat.report.names import data_name
from nat.report.settings import Variants, matches
from nat.runtime.errors import UserError
from nat.runtime.io.foreign import reading
from nat.runtime.results import SCHEMA

ON_IMAGES, ON_VOC = ("train", "probe"), ("finetune-fc6-8", "finetune-all", "detect")
STAGES = (*ON_IMAGES, *ON_VOC)
PICKED = "illustrate"
LOADERS: dict[str, Any] = {"features.npz": load_illustration, "detections.npz": load_detected}
FEATURES, DETECTIONS = (f"{PICKED} {Path(name).stem}" for name in LOADERS)  # as stages
NAMES = re.compile(rf"({'|'.join(STAGES)})/[^/]+\.json|{PICKED}/[0-9]+/({'|'.join(LOADERS)})")
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

    def numbers(self) -> Iterator[tuple[str, float | None]]:
        """All of them by name; epochs of a training stay in its history."""
        for name, value in self.measured.items():
            if isinstance(value, dict):
                yield from ((f"{name}{OF_CLASS}{one}", each) for one, each in value.items())
            else:
                yield name, value
        for row in self.checkpoints:
            epoch = int(row.get("epoch") or 0)
            yield from ((checkpoint(epoch, n), row[n]) for n in row if n != "epoch")


def checkpoint(epoch: int, probe: str) -> str:
    """The name of a number that was measured at an epoch before the last."""
    return f"epoch {epoch}, {probe}"


class Run(NamedTuple):
    """What is the same for all seeds; ``override`` is empty for the method's own run."""

    stage: str
    method: str
    override: str = ""


@dataclass
class Result:
    """A file of results/: ``file`` is its name, results/ first; never an absolute path.

    ``measured`` are numbers by name, in percent but for losses and costs; ``history`` has a row for
    each epoch of a training; ``content`` is what figures show, an Illustration or Detected.
    ``dropped`` is why it does not count; empty if it does.
    """

    file: str
    run: Run
    seed: int
    measured: dict[str, float]
    provenance: dict[str, Any]
    history: tuple[dict[str, Any], ...] = ()
    content: Any = None
    dropped: str = ""

    @property
    def data(self) -> str:
        """The name for people of the data it was measured on."""
        return data_name(self.provenance["data"])

    @property
    def training(self) -> tuple[str, str, int]:
        """Method, override and seed."""
        return *self.run[1:], self.seed


def read_results(folder: Path, variants: Variants) -> tuple[list[Result], list[Result]]:
    """Every result, whether it counts or not, and what the figures show.

    A result counts if params.yaml lists its method and ablation, if it was made with the settings
    in use and on the same data as most others, and if its training's own result counts.

    Raises:
        UserError: a file is foreign, damaged or of another version, or nothing counts.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: not found; make it with `dvc repro`")
    results: list[Result] = []
    shown: list[Result] = []
    for path in sorted(path for path in folder.rglob("*") if not path.is_dir()):
        name = path.relative_to(folder).as_posix()
        if name.startswith(".") or "/." in name:
            continue
        if not NAMES.fullmatch(name):
            raise UserError(f"{path}: is no result of this project; move it out of the results")
        name = f"{folder.resolve().name}/{name}"
        if path.name in LOADERS:
            shown.append(_shown(path, name))
        else:
            results.append(_read(path, name))
    results.sort(key=lambda r: (STAGES.index(r.run.stage), *r.training))
    for one, other in pairwise(results):
        if (one.run, one.seed) == (other.run, other.seed):
            raise UserError(f"{other.file}: is of the same run as {one.file}; move one away")
    _judge(results, variants)
    if all(result.dropped for result in results):
        raise UserError(
            f"{folder}: none of its {len(results)} results was made with the settings in use; "
            "make them with `dvc repro`"
        )
    lost = {r.training for r in results if r.run.stage == "train" and r.dropped}
    return results, [
        each
        for each in sorted(shown, key=lambda each: each.seed)
        if not lost & {("nat", "", each.seed), ("labels", "", each.seed)}
        and matches(each.provenance["parameters"], variants.settings)
    ]


def _read(path: Path, name: str) -> Result:
    with reading(path, "result of this project", "move it away, or make it again with `dvc repro`"):
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and content.get("schema", SCHEMA) != SCHEMA:
            raise UserError(f"{path}: made by another version; make it again with `dvc repro`")
        made = Content.model_validate(content)
        if made.stage != path.parent.name:
            raise ValueError(f"it is of the stage {made.stage}, but lies in {path.parent.name}")
    run = Run(made.stage, made.method, made.override)
    numbers = {name: value for name, value in made.numbers() if value is not None}
    return Result(name, run, made.seed, numbers, made.provenance.model_dump(), made.history)


def _shown(path: Path, name: str) -> Result:
    content = LOADERS[path.name](path)
    run, facts = Run(f"{PICKED} {path.stem}", "nat"), content.facts
    measured = {"mean cosine of feature and target": facts.get("cosine")}
    if run.stage == DETECTIONS:
        named = {"ap": "average precision", "score": "least score"}
        keys = ("ap", "score", "precision", "recall")
        measured = {
            f"{named.get(k, k)} of {each['name']}": each[k]
            for each in facts["classes"]
            for k in keys
        }
    known = {name: number for name, number in measured.items() if number is not None}
    seed = int(path.parent.name)
    return Result(name, run, seed, known, content.provenance, content=content)


def _judge(results: list[Result], variants: Variants) -> None:
    """Name overrides as they are listed, and say of results why they do not count."""
    seen = set()
    for result in results:
        variant = variants.canonical(result.run.method, result.run.override)
        if variant is None:
            result.dropped = NOT_LISTED
            continue
        result.run = result.run._replace(override=variant.override)
        if not matches(result.provenance["parameters"], variant.in_use):
            result.dropped = OTHER_SETTINGS
        elif (result.run, result.seed) in seen:
            result.dropped = TWICE
        else:
            seen.add((result.run, result.seed))
    for stages in (ON_IMAGES, ON_VOC):
        asked = [result for result in results if result.run.stage in stages and not result.dropped]
        stores = [(r.provenance["data"], r.provenance["store"] or "") for r in asked]
        most = Counter(sorted(stores)).most_common(1)
        for result, store in zip(asked, stores, strict=True):
            result.dropped = "" if store == most[0][0] else OTHER_DATA
    trained = [result for result in results if result.run.stage == "train"]
    counted = {result.training for result in trained if not result.dropped}
    lost = {r.training: r.dropped for r in trained if r.training not in counted}
    for result in results:
        result.dropped = result.dropped or lost.get(result.training, "")
