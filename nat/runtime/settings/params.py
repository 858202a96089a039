"""The schema of params.yaml: every setting's type, bounds and meaning.

Unknown names and wrong types are refused, and each refusal names the setting. params.yaml itself
holds the values; nothing here has a default, so that a reader finds every value in one place.
"""

import os
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from nat.runtime.cores import share
from nat.runtime.errors import UserError
from nat.runtime.io.paths import place
from nat.runtime.settings.families import constant, groups_of, member_of
from nat.runtime.settings.yaml_file import shown

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
FewOrAuto = Few | Literal["auto"]
Crops = Literal[1, 2, 10]
Preprocessing = Literal["sobel", "high-pass", "clean"]
TrunkName = Literal["alexnet", "alexnet-dense", "small", "small-dense"]
Precision = Literal["float32", "bfloat16"]
Variant = Literal["philkr", "deepcluster"]
LayersTrained = Literal["fc6-8", "all"]
TargetType = Annotated[str, member_of("targets")]
Alignment = Annotated[str, member_of("alignments")]
Method = Annotated[str, member_of("methods")]
DataSet = Annotated[str, member_of("datasets")]
DEVICE = r"^(auto|cpu|cuda(:\d+)?)$"
NAT = "nat"  # the method that params.yaml's own groups set: targets, alignment, pretrain
SIFT_FISHER = "sift_fisher"  # what is compared without a trunk, set by the group fisher


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


def _override(text: str) -> str:
    pairs_of(text)
    return text


NEVER_COMPARED = ("ablations", "compared", "launcher", "machine", "methods", "profile", "seeds")
Override = Annotated[str, AfterValidator(_override)]


def pairs_of(override: str) -> list[tuple[str, str]]:
    """The settings that an override names: ``permute_every=1``, several joined by commas.

    Raises:
        ValueError: it is no such text, or names a setting that is none of a training.
    """
    pairs = []
    for text in override.split(","):
        found = re.fullmatch(r"([a-z_][\w.]*)=([\w.+-]+)", text, re.ASCII)
        if not found:
            raise ValueError(f"{shown(override)} is not NAME=VALUE, or several with commas between")
        if found[1].partition(".")[0] in NEVER_COMPARED:
            raise ValueError(f"{found[1]} is no setting to compare; name one of a training")
        pairs.append((found[1], found[2]))
    return pairs


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

    device: Annotated[str, Field(pattern=DEVICE)]
    threads: FewOrAuto
    lanes: FewOrAuto
    compile: bool
    data: Place
    scratch: Place
    keep: Place | None
    tensorboard: Place | None

    @property
    def training_threads(self) -> int:
        """CPU threads of a training, whose number decides its last digits: auto is one."""
        return 1 if self.threads == "auto" else self.threads

    @property
    def workers(self) -> int:
        """Images read or searched at the same time, whose number decides nothing."""
        return share() if self.threads == "auto" else self.threads


class Images(Group):
    """The images that the trunk is trained on and probed with."""

    source: DataSet
    folder: Place | None
    train: Count | None
    validation: Annotated[int, Field(ge=0, le=10**9)]
    test: Count | None
    size: Side
    channels: Literal[1, 3]
    corrupt_limit: Annotated[int, Field(ge=0, le=10**9)]

    @model_validator(mode="after")
    def _folder_is_named(self) -> "Images":
        if self.folder is None and constant("datasets", self.source, "NEEDS_FOLDER"):
            raise ValueError(f"source is {self.source}, so folder must name it")
        return self


class Voc(Group):
    """The VOC-format set for transfer."""

    source: Literal["composed", "devkit"]
    folder: Place | None
    images: Count
    size: Annotated[list[Annotated[int, Field(ge=32, le=4096)]], Field(min_length=2, max_length=2)]


class ProposalSettings(Group):
    """The boxes that a detector classifies."""

    source: Literal["selective-search", "mat", "pickle"]
    trainval: Place | Annotated[list[Place], Some] | None
    test: Place | Annotated[list[Place], Some] | None
    count: Count | None
    smallest: Count
    short_side: Annotated[int, Field(ge=16, le=4096)] | None
    segments: Annotated[list[Count], Some]
    sigma: Annotated[float, Field(gt=0, le=100)]

    @model_validator(mode="after")
    def _files_are_named(self) -> "ProposalSettings":
        if self.source != "selective-search" and None in (self.trainval, self.test):
            raise ValueError(f"source is {self.source}, so trainval and test must name its files")
        return self


class TargetSettings(Group):
    """The fixed target representations C of eq. 3: what several types can be set to."""

    dimension: Dimension
    k: Classes
    precision: Literal["float32", "float16"]


class TargetGroups(TargetSettings):
    """And what one type alone can be set to, a group of its name, see its file in nat/targets."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: groups_of("targets")  # type: ignore[valid-type]


class ModelSettings(Group):
    """The network: front end, trunk, MLP head."""

    preprocessing: Preprocessing
    trunk: TrunkName
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


class Probe(Training):
    """The transfer task on the images' own labels (section 4): classifiers on a frozen trunk."""

    hidden: Units
    dropout: Fraction
    flip: bool
    lr_linear: Positive
    crops: Crops
    neighbours: Count


class Fisher(Group):
    """SIFT and Fisher vectors (Table 3), which are classified as the probe classifies features."""

    patches: Annotated[list[Annotated[int, Field(ge=4, le=4096)]], Some]
    step: Annotated[int, Field(gt=0, le=4096)]
    sift: Annotated[int, Field(gt=0, le=128)]
    gaussians: Annotated[int, Field(gt=0, le=2**16)]
    samples: Count
    images: Count
    dimension: Units
    hidden: Units

    @model_validator(mode="after")
    def _dimension_is_there(self) -> "Fisher":
        if self.dimension > (numbers := 2 * self.gaussians * self.sift):
            raise ValueError(
                f"dimension {self.dimension} is larger than 2 x gaussians x sift, {numbers}; "
                "use at most that"
            )
        return self


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
    images: Few
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
    min_score: Fraction | None
    detections: Count
    mean_detections: Count | None
    nms: Annotated[float, Field(gt=0, le=1)]

    @model_validator(mode="after")
    def _fits_together(self) -> "Detect":
        if not self.background_iou[0] < self.background_iou[1] <= self.foreground_iou:
            raise ValueError("background_iou must be [least, less than], at most foreground_iou")
        if self.regions % self.images:
            raise ValueError("regions must be a multiple of images")
        return self


class Ablations(Group):
    """What section 4.1 compares: overrides, of NAT and of training with labels."""

    nat: Annotated[list[Override], Some]
    labels: Annotated[list[Override], Some]


class Params(Group):
    """The whole of params.yaml."""

    profile: str
    seeds: Annotated[list[Seed], Some]
    methods: Annotated[list[Method], Some]
    compared: Annotated[list[Method], Some]
    permute_every: Period
    target_type: TargetType
    alignment: Alignment
    precision: Precision
    evaluate_on: Literal["test", "validation"]
    launcher: Annotated[str, Field(pattern=r"\S")]
    machine: Machine
    images: Images
    voc: Voc
    proposals: ProposalSettings
    targets: TargetGroups
    model: ModelSettings
    augment: Augment
    pretrain: Pretrain
    baselines: groups_of("methods")  # type: ignore[valid-type]
    probe: Probe
    fisher: Fisher
    finetune: Finetune
    detect: Detect
    ablations: Ablations

    @model_validator(mode="after")
    def _fits_together(self) -> "Params":
        if self.augment.crop > self.images.size:
            raise ValueError(
                f"augment.crop: {self.augment.crop} is larger than images.size "
                f"{self.images.size}; use at most that"
            )
        if self.evaluate_on == "validation" and not self.images.validation:
            raise ValueError(
                "evaluate_on: validation, but images.validation is 0; hold some images out, or "
                "use test"
            )
        if (patch := max(self.fisher.patches)) > self.images.size:
            raise ValueError(
                f"fisher.patches: {patch} is larger than images.size {self.images.size}; use at "
                "most that"
            )
        if NAT in self.compared:
            raise ValueError(f"compared: {NAT} is what the others are compared with; leave it out")
        if NAT in self.baselines:
            raise ValueError(f"baselines.{NAT}: its settings are those of pretrain; leave it out")
        for method in self.methods:
            if method not in (NAT, *self.compared):
                raise ValueError(f"methods: {method} is not trained; add it to compared")
        n = self.images.train
        if n is not None and self.target_type in ("onehot", "mixture") and self.targets.k > n:
            raise ValueError(
                f"targets.k: {self.targets.k} is larger than images.train {n}; use at most that"
            )
        return self
