"""The schema of params.yaml: every setting's type, bounds and meaning.

Unknown names and wrong types are refused, and each refusal names the setting. params.yaml itself
holds the values; nothing here has a default, so that a reader finds every value in one place.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from nat.runtime.errors import UserError
from nat.runtime.io.paths import place
from nat.runtime.settings.yaml_file import load, read_text, shown

# The largest values are far beyond any use: they keep a slip from taking all memory.
Count = Annotated[int, Field(gt=0, le=10**9)]
Positive = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Period = Count | Literal["never"]
Batch = Annotated[int, Field(ge=2, le=2**20)]
Units = Annotated[int, Field(gt=0, le=2**16)]
Dimension = Annotated[int, Field(ge=2, le=2**16)]
Classes = Annotated[int, Field(ge=2, le=10**8)]
Side = Annotated[int, Field(ge=8, le=4096)]
Few = Annotated[int, Field(gt=0, le=1000)]
Preprocessing = Literal["sobel", "high-pass", "clean"]
Loss = Literal["softmax", "square"]
Variant = Literal["philkr", "deepcluster"]
LayersTrained = Literal["fc6-8", "all"]


def _known(package: str) -> AfterValidator:
    """Refuses a name that has no file of its own in ``package``, a folder of nat/."""

    def check(name: str) -> str:
        known = file_names(package)
        if name not in known:
            raise ValueError(f"unknown name {shown(name)}; known: {', '.join(known)}")
        return name

    return AfterValidator(check)


def file_names(package: str) -> list[str]:
    """The modules of a folder of interchangeable files: its choices, such as target types."""
    folder = Path(__file__).parents[2] / package
    return sorted(file.stem for file in folder.glob("[!._]*.py"))


TargetType = Annotated[str, _known("targets")]
Alignment = Annotated[str, _known("alignments")]


def _place(folder: str) -> str:
    """A folder or file with the environment's variables filled in, as a shell would."""
    if not folder.strip():
        raise ValueError("empty; name a folder or file")
    if "\0" in folder:
        raise ValueError("holds a zero byte, which no path may")
    try:
        place(folder)
    except UserError as error:
        raise ValueError(str(error)) from error

    def value(found: re.Match[str]) -> str:
        name = found[1].strip("{}")
        if not os.environ.get(name):  # an empty one makes /nat of $SCRATCH/nat
            raise ValueError(f"${name} is not set here; set it or write the path itself")
        return os.environ[name]

    return re.sub(r"\$([A-Za-z_]\w*|\{\w+\})", value, folder, flags=re.ASCII)


Place = Annotated[str, AfterValidator(_place)]


def _some(values: list[Any]) -> list[Any]:
    if not values:
        raise ValueError("empty; name at least one")
    if len(values) > MOST:
        raise ValueError(f"{len(values)} values; name at most {MOST}")
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{shown(value)} is named twice; name each once")
    return values


Some = AfterValidator(_some)
MOST = 1000  # values of a list


class Group(BaseModel):
    """A group of settings: immutable, strictly typed, closed to unknown names."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Machine(Group):
    """What the computation runs on; no stage depends on it, as it does not define a result."""

    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
    threads: Few
    precision: Literal["auto", "float32", "bfloat16"]
    compile: bool
    data: Place
    scratch: Place


class Pictures(Group):
    """The pictures that the trunk is trained on and probed with."""

    source: Literal["fashion-mnist", "cifar10", "imagenet", "folder"]
    folder: Place | None
    train: Count | None
    val: Count | None
    size: Side
    channels: Literal[1, 3]
    corrupt_limit: Annotated[int, Field(ge=0, le=10**9)]

    @model_validator(mode="after")
    def _folder_is_named(self) -> "Pictures":
        if self.source in ("folder", "imagenet") and self.folder is None:
            raise ValueError(f"source is {self.source}, so folder must name it")
        return self


class Voc(Group):
    """The VOC-format set for transfer."""

    source: Literal["composed", "devkit"]
    folder: Place | None
    pictures: Count
    size: Annotated[list[Annotated[int, Field(ge=32, le=4096)]], Field(min_length=2, max_length=2)]


class ProposalSettings(Group):
    """The boxes that a detector classifies."""

    source: Literal["selective-search", "mat", "pickle"]
    trainval: Place | None
    test: Place | None
    count: Count
    smallest: Count
    short_side: Annotated[int, Field(ge=16, le=4096)] | None
    segments: Annotated[list[Count], Field(min_length=2, max_length=2)]
    sigma: Annotated[float, Field(gt=0, le=100)]

    @model_validator(mode="after")
    def _files_are_named(self) -> "ProposalSettings":
        if self.source != "selective-search" and None in (self.trainval, self.test):
            raise ValueError(f"source is {self.source}, so trainval and test must name its files")
        return self


class TargetSettings(Group):
    """The fixed target representations C of eq. 3."""

    dimension: Dimension
    k: Classes
    spread: NotNegative
    precision: Literal["float32", "float16"]


class ModelSettings(Group):
    """The network: front end, trunk, MLP head."""

    preprocessing: Preprocessing
    trunk: Literal["alexnet", "small"]
    hidden: Units
    dropout: Fraction


class Augment(Group):
    """Random cropping and flipping (section 3.3)."""

    crop: Side
    flip: bool


class Training(Group):
    """SGD with the schedule of section 3.3."""

    epochs: Annotated[int, Field(gt=0, le=10**6)]
    batch_size: Batch
    lr: Positive
    lr_hold: Annotated[int, Field(ge=0, le=10**9)]
    lr_decay: NotNegative
    momentum: Fraction
    weight_decay: NotNegative


class Pretrain(Training):
    """Algorithm 1."""

    batch_norm: Literal["local", "synchronised"]
    matching: Literal["local", "global"]
    save_every: Period
    knn_every: Period


class Labels(Training):
    """Training with labels (Tables 1 and 2, and a row of Tables 3 and 4)."""

    loss: Loss


class Probe(Training):
    """The transfer task on the pictures' own labels (section 4)."""

    lr_linear: Positive
    crops: Literal[1, 2, 10]
    neighbours: Count


class Finetune(Group):
    """VOC classification (Table 4)."""

    variant: Variant
    input: Side
    hidden: Units
    dropout: Fraction
    iterations: Count
    batch_size: Batch
    lr: Positive
    lr_halve_every: Count
    momentum: Fraction
    weight_decay: NotNegative
    clip: Positive
    scale: Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=2, max_length=2)]
    crops: Few

    @model_validator(mode="after")
    def _scale_is_ordered(self) -> "Finetune":
        if self.scale[0] > self.scale[1]:
            raise ValueError("scale must be [smallest, largest]")
        return self


class Detect(Group):
    """VOC detection (Table 4)."""

    short_sides: Annotated[list[Side], Field(min_length=1, max_length=100)]
    test_short_side: Side
    long_side: Side
    hidden: Units
    dropout: Fraction
    iterations: Count
    save_every: Count
    pictures: Few
    regions: Annotated[int, Field(gt=0, le=2**20)]
    foreground: Annotated[float, Field(gt=0, lt=1)]
    foreground_iou: Annotated[float, Field(gt=0, le=1)]
    background_iou: Annotated[
        list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=2, max_length=2)
    ]
    lr: Positive
    lr_drop_at: Annotated[list[Count], Field(max_length=100)]
    momentum: Fraction
    weight_decay: NotNegative
    min_score: Fraction
    detections: Count
    nms: Annotated[float, Field(gt=0, le=1)]

    @model_validator(mode="after")
    def _fits_together(self) -> "Detect":
        if not self.background_iou[0] < self.background_iou[1] <= self.foreground_iou:
            raise ValueError("background_iou must be [least, less than], at most foreground_iou")
        if self.regions % self.pictures:
            raise ValueError("regions must be a multiple of pictures")
        return self


class Ablations(Group):
    """The values that section 4.1 compares, one setting at a time, besides those in use."""

    permute_every: Annotated[list[Period], Some]
    k: Annotated[list[Classes], Some]
    dimension: Annotated[list[Dimension], Some]
    target_type: Annotated[list[TargetType], Some]
    alignment: Annotated[list[Alignment], Some]
    preprocessing: Annotated[list[Preprocessing], Some]
    loss: Annotated[list[Loss], Some]


class Params(Group):
    """The whole of params.yaml."""

    profile: str
    seeds: Annotated[list[Seed], Some]
    permute_every: Period
    target_type: TargetType
    alignment: Alignment
    launcher: Annotated[str, Field(pattern=r"\S")]
    machine: Machine
    pictures: Pictures
    voc: Voc
    proposals: ProposalSettings
    targets: TargetSettings
    model: ModelSettings
    augment: Augment
    pretrain: Pretrain
    labels: Labels
    probe: Probe
    finetune: Finetune
    detect: Detect
    ablations: Ablations

    @model_validator(mode="after")
    def _fits_together(self) -> "Params":
        if self.augment.crop > self.pictures.size:
            raise ValueError(
                f"augment.crop: {self.augment.crop} is larger than pictures.size "
                f"{self.pictures.size}; use at most that"
            )
        n = self.pictures.train
        of_k_classes = {self.target_type, *self.ablations.target_type} & {"onehot", "mixture"}
        for name, classes in (
            ("targets.k", [self.targets.k] if of_k_classes else []),
            ("ablations.k", self.ablations.k),
        ):
            if n is not None and max(classes, default=0) > n:
                raise ValueError(
                    f"{name}: {max(classes)} is larger than pictures.train {n}; use at most that"
                )
        return self


def load_params(path: Path | str = "params.yaml", overrides: tuple[str, ...] = ()) -> Params:
    """Read and check a parameter file.

    Args:
        path: a YAML file with every setting of Params.
        overrides: ``NAME=VALUE`` texts, e.g. ``pretrain.epochs=3``; the value is YAML.

    Raises:
        UserError: the file is missing, is no YAML, or a setting is unknown, missing or wrong.
    """
    try:
        content = load(read_text(path), path)
    except OSError as error:
        raise UserError(
            f"{path}: {error.strerror}; run in the project's folder or name the file by --params"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: should hold named settings, such as `permute_every: 3`")
    for override in overrides:
        _override(content, override)
    return check_params(content, path)


def check_params(content: dict[str, Any], path: Path | str) -> Params:
    """Check what was read from ``path``.

    Raises:
        UserError: a setting is unknown, missing or wrong.
    """
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {_first_fault(error)}") from error


def _override(content: dict[str, Any], override: str) -> None:
    name, equals, value = override.partition("=")
    if not equals:
        raise UserError(f"--set {override}: should be NAME=VALUE, e.g. pretrain.epochs=3")
    *groups, last = name.split(".")
    group = content
    for word in groups:
        group = group.get(word, None) if isinstance(group, dict) else None  # type: ignore[assignment]
    if not isinstance(group, dict) or last not in group:
        raise UserError(f"--set {name}: no such setting in the parameter file")
    group[last] = load(value, f"--set {name}")


def _first_fault(error: ValidationError) -> str:
    """The first fault as ``name: what is wrong (got value)``, and how many more there are."""
    faults = error.errors(include_url=False)
    fault = faults[0]
    # unions add the tried type's name to the location: settings' own names are enough
    known = _setting_names(Params)
    name = ".".join(str(part) for part in fault["loc"] if str(part) in known or type(part) is int)
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    if fault["type"] == "extra_forbidden":
        name = ".".join(
            str(part) if str(part).isidentifier() else shown(part) for part in fault["loc"]
        )
        siblings: Any = Params
        for part in fault["loc"][:-1]:
            siblings = siblings.model_fields[part].annotation
        return f"{name}: unknown setting; known here: {', '.join(siblings.model_fields)}{more}"
    if fault["type"] == "missing":
        return f"{'.'.join(str(part) for part in fault['loc'])}: missing; add it{more}"
    alternatives = [f for f in faults if f["loc"][: len(fault["loc"]) - 1] == fault["loc"][:-1]]
    texts = [f["msg"].removeprefix("Value error, ").removeprefix("Input ") for f in alternatives]
    if len(alternatives) > 1 and all(str(f["loc"][-1]) not in known for f in alternatives):
        return f"{name}: {' or '.join(texts)} (got {shown(fault['input'])})"
    if fault["type"] == "value_error":
        return f"{name}: {texts[0]}{more}" if name else texts[0]
    return f"{name}: {texts[0]} (got {shown(fault['input'])}){more}"


def _setting_names(group: type[BaseModel]) -> set[str]:
    names = set(group.model_fields)
    for field in group.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names |= _setting_names(field.annotation)
    return names
