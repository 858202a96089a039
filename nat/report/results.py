"""Reads the folder results/, and tells which results were made with the settings in use."""

import json
import re
from collections import Counter
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from nat.illustrate.arrays import Checked, Finite, Provenance
from nat.illustrate.detected import load_detected
from nat.illustrate.filters import load_filters
from nat.illustrate.illustration import load_illustration
from nat.report.settings import Variants, matches
from nat.runtime.errors import UserError
from nat.runtime.io.foreign import reading
from nat.runtime.results import SCHEMA, SETTINGS

ON_IMAGES, ON_VOC = ("train", "probe"), ("finetune-fc6-8", "finetune-all", "detect")
STAGES = (*ON_IMAGES, *ON_VOC)
PICKED = "illustrate"
LOADERS: dict[str, Any] = {
    "features.npz": load_illustration,
    "filters.npz": load_filters,
    "detections.npz": load_detected,
}
FEATURES, FILTERS, DETECTIONS = (f"{PICKED} {Path(name).stem}" for name in LOADERS)  # as stages
NAMES = re.compile(rf"({'|'.join(STAGES)})/[^/]+\.json|{PICKED}/[0-9]+/({'|'.join(LOADERS)})")
OTHER_SETTINGS, OTHER_DATA = "with other settings", "on other data"
NOT_LISTED, TWICE = "of methods or ablations that params.yaml does not list", "that are there twice"
OF_CLASS = ": "  # between a number's name and the class it is of

Name = Annotated[str, Field(min_length=1, max_length=200)]
Numbers = dict[str, Finite | None]


class Run(NamedTuple):
    """What is the same for all seeds; ``override`` is empty for the method's own run."""

    stage: str
    method: str
    override: str = ""


class Result(Checked):
    """A file of results/: numbers, in percent but for losses and costs, and where they come from.

    ``not_run`` is why there are none.

    ``file`` is its name, results/ first; never an absolute path. ``content`` is what figures show,
    an Illustration, Filters or Detected. ``dropped`` is why it does not count; empty if it does.
    """

    number: Literal[1] = Field(alias="schema")
    stage: Name
    method: Name
    override: Annotated[str, Field(max_length=1000)]
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    measured: dict[str, Finite | Numbers | None]
    checkpoints: tuple[Numbers, ...] = Field(default=(), strict=False)
    history: tuple[Numbers, ...] = Field(default=(), strict=False)
    not_run: Annotated[str, Field(max_length=500)] = ""
    provenance: Provenance
    file: str = ""
    content: Any = None
    dropped: str = ""

    @property
    def run(self) -> Run:
        """What it is of, but for the seed."""
        return Run(self.stage, self.method, self.override)

    @property
    def training(self) -> tuple[str, str, int]:
        """Method, override and seed."""
        return self.method, self.override, self.seed

    @cached_property
    def numbers(self) -> dict[str, float]:
        """All that were measured, by name; epochs of a training stay in its history."""
        found: Numbers = {}
        for name, value in self.measured.items():
            if isinstance(value, dict):
                found |= {f"{name}{OF_CLASS}{of}": number for of, number in value.items()}
            else:
                found[name] = value
        for row in self.checkpoints:
            epoch = int(row.get("epoch") or 0)
            found |= {checkpoint(epoch, name): row[name] for name in row if name != "epoch"}
        if self.stage == "train":
            found["seconds"] = self.provenance.seconds
        return {name: value for name, value in found.items() if value is not None}


def checkpoint(epoch: int, probe: str) -> str:
    """The name of a number that was measured at an epoch before the last."""
    return f"epoch {epoch}, {probe}"


def other_profiles(folder: Path, in_use: str) -> dict[str, dict[str, Any]]:
    """The settings of the profiles, but for the one in use, of which there are results, by name.

    Args:
        folder: results/.
        in_use: the profile of params.yaml.

    Raises:
        UserError: something else is there, or settings are damaged.
    """
    found = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.startswith(".") or path.name == in_use:
            continue
        file = path / SETTINGS
        if not file.is_file():
            raise UserError(f"{path}: is no folder of results with {SETTINGS}; move it out")
        with reading(file, "settings of results", "make it again with `nat report`"):
            settings = json.loads(file.read_text(encoding="utf-8"))
            if not {"profile", "methods"} <= set(settings):
                raise ValueError("it has no profile")
            found[path.name] = settings
    return found


def read_results(
    folder: Path, variants: Variants, named: str = "results"
) -> tuple[list[Result], dict[str, Result]]:
    """Every result, whether it counts or not, and what figures show, of the first seed that has it.

    A result counts if params.yaml lists its method and ablation, if it was made with the settings
    in use and on the same data as most others, and if its training's own result counts.

    Args:
        folder: of one profile.
        variants: of its settings.
        named: what the folder is called in the report.

    Raises:
        UserError: a file is foreign, damaged or of another version, or nothing counts.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: not found; make it with `dvc repro`")
    results: list[Result] = []
    shown: list[Result] = []
    for path in sorted(path for path in folder.rglob("*") if not path.is_dir()):
        name = path.relative_to(folder).as_posix()
        if name.startswith(".") or "/." in name or name == SETTINGS:
            continue
        if not NAMES.fullmatch(name):
            raise UserError(f"{path}: is no result of this project; move it out of the results")
        made = _shown(path) if path.name in LOADERS else _read(path)
        made.file = f"{named}/{name}"
        (shown if path.name in LOADERS else results).append(made)
    results.sort(key=lambda r: (STAGES.index(r.stage), *r.training))
    for one, other in pairwise(results):
        if (one.run, one.seed) == (other.run, other.seed):
            raise UserError(f"{other.file}: is of the same run as {one.file}; move one away")
    _judge(results, variants)
    if all(result.dropped for result in results):
        raise UserError(
            f"{folder}: none of its {len(results)} results was made with the settings in use; "
            "make them with `dvc repro`"
        )
    lost = {r.training for r in results if r.stage == "train" and r.dropped}
    first: dict[str, Result] = {}
    for each in sorted(shown, key=lambda each: each.seed):
        trainings = {("nat", "", each.seed), ("labels", "", each.seed)}
        if not lost & trainings and matches(each.provenance.parameters, variants.settings):
            first.setdefault(Path(each.file).stem, each)
    return results, first


def _read(path: Path) -> Result:
    with reading(path, "result of this project", "move it away, or make it again with `dvc repro`"):
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and content.get("schema", SCHEMA) != SCHEMA:
            raise UserError(f"{path}: made by another version; make it again with `dvc repro`")
        made = Result.model_validate(content)
        if made.stage != path.parent.name:
            raise ValueError(f"it is of the stage {made.stage}, but lies in {path.parent.name}")
    return made


def _shown(path: Path) -> Result:
    content, stage = LOADERS[path.name](path), f"{PICKED} {path.stem}"
    measured = {}
    if stage == FEATURES:
        measured = {"mean cosine of feature and target": content.facts["cosine"]}
    elif stage == DETECTIONS:
        names = {"ap": "average precision", "score": "least score"}
        keys = ("ap", "score", "precision", "recall")
        classes = [(each["name"], each) for each in content.facts["classes"]]
        measured = {f"{names.get(k, k)} of {c}": each[k] for c, each in classes for k in keys}
    return Result(schema=1, stage=stage, method="nat", override="",
                  seed=int(path.parent.name), measured=measured,
                  provenance=Provenance(**content.provenance), content=content)  # fmt: skip


def _judge(results: list[Result], variants: Variants) -> None:
    """Name overrides as they are listed, and say of results why they do not count."""
    seen = set()
    for result in results:
        variant = variants.canonical(result.method, result.override)
        if variant is None:
            result.dropped = NOT_LISTED
            continue
        result.override = variant.override
        if not matches(result.provenance.parameters, variant.in_use):
            result.dropped = OTHER_SETTINGS
        elif (result.run, result.seed) in seen:
            result.dropped = TWICE
        else:
            seen.add((result.run, result.seed))
    for stages in (ON_IMAGES, ON_VOC):
        # what was not run was found out on the images, whichever the stage
        asked = [r for r in results if r.stage in stages and not r.dropped and not r.not_run]
        stores = [(r.provenance.data, r.provenance.store or "") for r in asked]
        most = Counter(sorted(stores)).most_common(1)
        for result, store in zip(asked, stores, strict=True):
            result.dropped = "" if store == most[0][0] else OTHER_DATA
    trained = [result for result in results if result.stage == "train"]
    counted = {result.training for result in trained if not result.dropped}
    lost = {r.training: r.dropped for r in trained if r.training not in counted}
    for result in results:
        result.dropped = result.dropped or lost.get(result.training, "")
