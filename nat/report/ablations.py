"""Reads the analysis of section 4.1: one setting changed at a time, beside the spine's own run."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nat.illustrate.illustration import load_illustration
from nat.report.names import ALIGNMENTS, TARGETS, pace
from nat.report.paper import TABLE_1, TABLE_2
from nat.report.record import Folder, Record, check_same_data
from nat.report.table import Measured, joined
from nat.runtime.settings.params import Ablations as Values

Value = int | str

# settings of NAT, read by the probe; and of training with labels, whose own accuracy is read
PROBED = ("permute_every", "alignment", "k", "dimension", "target_type")
SUPERVISED = ("loss", "preprocessing")


@dataclass(frozen=True)
class Variant:
    """A training with one setting changed, or the spine's own, over the seeds.

    Attributes:
        factor: the setting.
        value: its value.
        trainings: the records of the trainings; empty for the untrained trunk.
        probes: of their trunks; empty for trainings with labels.
        reference: whether this is the spine's own run.
    """

    factor: str
    value: Value
    trainings: tuple[Record, ...]
    probes: tuple[Record, ...] = ()
    reference: bool = False

    def probe(self, reading: str) -> Measured:
        """Accuracy in percent of ``reading`` (mlp, linear or knn)."""
        return joined(self.probes, reading)

    @property
    def accuracy(self) -> Measured:
        """The network's own test accuracy in percent, of trainings with labels."""
        return joined(self.trainings, "accuracy")

    @property
    def speed(self) -> Measured:
        """Training pictures a second."""
        return joined(self.trainings, "images_per_second", digits=0)

    @property
    def alignment_ms(self) -> Measured | None:
        """Milliseconds to reassign a batch; None where P is never updated.

        Raises:
            UserError: a record does not tell.
        """
        first = self.trainings[0]
        if "alignment_ms" in first.measured and first.measured["alignment_ms"] is None:
            return None
        return joined(self.trainings, "alignment_ms")


@dataclass(frozen=True)
class Ablations:
    """Everything that Tables 1 and 2, Figure 2 right and the further comparisons are made of.

    Attributes:
        seeds: in the order of params.yaml.
        variants: by factor: the listed values and the spine's own, sorted.
        reference: the spine's own run of NAT.
        random: the untrained trunk.
        target_type: of the reference.
        dimension: of the reference's targets.
        pictures: how many an accuracy was measured on.
    """

    seeds: tuple[int, ...]
    variants: dict[str, tuple[Variant, ...]]
    reference: Variant
    random: Variant
    target_type: str
    dimension: int
    pictures: int

    @property
    def data(self) -> str:
        """The name for people of the data that everything here was measured on."""
        return self.random.probes[0].data

    def find(self, factor: str, value: Value) -> Variant | None:
        """The variant with this value, if it was trained."""
        return next((v for v in self.variants[factor] if v.value == value), None)

    @property
    def sphere(self) -> Variant | None:
        """NAT with targets on the sphere, all else as in the reference, if it was trained."""
        return self.find("target_type", "sphere")

    def name(self, variant: Variant) -> str:
        """What tables call a variant, short."""
        value = variant.value
        if variant.factor == "dimension":
            return f"sphere, d = {value}"
        if variant.factor == "k":
            return f"discrete, k = {value:,}"
        if variant.factor == "permute_every":
            return pace(value)
        if variant.factor == "alignment":
            return f"{ALIGNMENTS.get(str(value), value)} alignment"
        if variant.factor == "target_type":
            return TARGETS.get(str(value), str(value))
        return str(value)

    def setup(self) -> str:
        """The reference in words: its targets and how they are assigned."""
        letter = "k" if self.target_type == "onehot" else "d"
        targets = TARGETS.get(self.target_type, self.target_type)
        alignment = self.reference.trainings[0].parameter("alignment")
        return (
            f"{targets}, {letter} = {self.dimension:,}, "
            f"{ALIGNMENTS.get(alignment, alignment)} alignment"
        )

    @property
    def is_papers(self) -> bool:
        """Whether the reference is the paper's method: sphere, exact, every 3 epochs."""
        record = self.reference.trainings[0]
        settings = (record.parameter("alignment"), record.parameter("permute_every"))
        return self.target_type == "sphere" and settings == ("exact", 3)

    def groups(self) -> Iterator[tuple[Record, ...]]:
        """Records of section 4.1 alone, those that differ by the seed alone together."""
        for variants in self.variants.values():
            for variant in variants:
                if not variant.reference:
                    yield from filter(None, (variant.trainings, variant.probes))


def read_ablations(path: Path, seeds: list[int], values: Values) -> Ablations:
    """Read the records of every value and seed, and the spine's run that they compare with.

    A value that is the spine's own is read from the spine, listed or not.

    Args:
        path: the artifacts' folder, with ablations, illustrate, pretrain and probe in it.
        seeds: of params.yaml.
        values: those listed in params.yaml.

    Raises:
        UserError: a file is missing or damaged, or was measured on other data than its kin; names
            it and the command that makes it.
    """
    folder = Folder(path, tuple(seeds))
    facts = load_illustration(path / f"illustrate/{seeds[0]}.npz").facts
    nat = folder.each("pretrain/nat-{}/record.json", "pretrain", "nat")
    labels = folder.each("pretrain/labels-{}/record.json", "baseline labels", "labels")
    probes = folder.each("probe/nat-{}.json", "probe", "nat")

    own: dict[str, Value] = {
        "permute_every": nat[0].parameter("permute_every"),
        "alignment": nat[0].parameter("alignment"),
        "target_type": facts["target_type"],
        "loss": labels[0].parameter("labels", "loss"),
        "preprocessing": labels[0].parameter("model", "preprocessing"),
    }
    own |= {
        factor: facts["dimension"]
        for factor, target_type in (("dimension", "sphere"), ("k", "onehot"))
        if facts["target_type"] == target_type
    }

    def variant(factor: str, value: Value) -> Variant:
        supervised = factor in SUPERVISED
        if value == own.get(factor):
            return Variant(
                factor, value, labels if supervised else nat, () if supervised else probes, True
            )
        file, detail = f"{factor}-{value}-{{}}", f"{factor} = {value}"
        where = f"ablations/records/{file}/record.json"
        if supervised:
            return Variant(factor, value, folder.each(where, "baseline labels", "labels", detail))
        return Variant(
            factor,
            value,
            folder.each(where, "pretrain", "nat", detail),
            folder.each(f"ablations/probe/{file}.json", "probe", "nat", detail),
        )

    ablations = Ablations(
        seeds=folder.seeds,
        variants={
            factor: tuple(
                variant(factor, value)
                for value in ordered(factor, getattr(values, factor), own.get(factor))
            )
            for factor in (*PROBED, *SUPERVISED)
        },
        reference=Variant("", "", nat, probes, True),
        random=Variant("", "", (), folder.each("probe/random-{}.json", "probe", "random")),
        target_type=facts["target_type"],
        dimension=int(facts["dimension"]),
        pictures=int(facts["val"]),
    )
    spine = (ablations.random.probes, nat, labels, probes)
    check_same_data([record for group in (*spine, *ablations.groups()) for record in group])
    return ablations


def ordered(factor: str, listed: list[Any], own: Value | None) -> list[Value]:
    """Each value once: numbers ascending, then ``never``; names as listed, the spine's own first.

    The rows of Tables 1 and 2 keep the paper's order.
    """
    values = [*([] if own is None or own in listed else [own]), *listed]
    rows = {"loss": TABLE_1, "preprocessing": TABLE_2}.get(factor)
    if rows:
        places = [row.key for row in rows]
        return sorted(values, key=lambda value: places.index(value))
    numbers = sorted(value for value in values if isinstance(value, int))
    return [*numbers, *(value for value in values if not isinstance(value, int))]
