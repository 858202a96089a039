"""What the files that reports read should hold: names and types."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Integer = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Scalar = None | bool | Integer | float | str
Setting = Scalar | list[Scalar]


class Checked(BaseModel):
    """Strictly typed; other names may stand beside."""

    model_config = ConfigDict(strict=True)


class Provenance(Checked):
    """See nat/runtime/provenance.py."""

    data: Annotated[str, Field(min_length=1)]
    seed: Integer
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    device: str
    threads: Integer
    hardware: str
    python: str
    versions: dict[str, str]
    commit: str
    parameters: dict[str, Setting | dict[str, Setting]]


class Written(Checked):
    """A record: numbers by name, also of each class, or a list of them; which, its readers know."""

    measured: dict[str, Scalar | dict[str, Scalar]] | list[dict[str, Scalar]]
    provenance: Provenance


class IllustrationFacts(Checked):
    """See nat/illustrate/features.py."""

    source: str
    classes: list[str]
    train: Integer
    val: Integer
    size: Integer
    channels: Integer
    crop: Integer
    preprocessing: str
    target_type: str
    dimension: Integer
    trunk: str
    layers: Annotated[list[Annotated[list[Integer], Field(min_length=2, max_length=2)]],
                      Field(min_length=5, max_length=5)]  # fmt: skip
    hidden: Integer
    searched: Integer
    cosine: Finite


class DetectedClass(Checked):
    """A class of which detections are shown."""

    name: str
    ap: Finite
    objects: Integer
    score: Finite | None
    precision: Finite | None
    recall: Finite | None


class DetectedFacts(Checked):
    """See nat/illustrate/detections.py."""

    source: str
    test: Integer
    classes: Annotated[list[DetectedClass], Field(min_length=1)]


def within(rows: Any, count: int, what: str) -> None:
    """Check that an integer array has rows of a list.

    Raises:
        ValueError: names the array.
    """
    if rows.size and not (rows.min() >= 0 and rows.max() < count):
        raise ValueError(f"{what} leaves 0 to {count - 1}")
