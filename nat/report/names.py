"""What data, methods, probes and settings are called in tables and figures."""

from typing import Any

from nat.runtime.settings.families import constant
from nat.runtime.settings.params import SIFT_FISHER

DATA = {
    "fashion-mnist": "Fashion-MNIST",
    "imagenet": "ImageNet",
    "cifar10": "CIFAR-10",
    "cifar10-files": "CIFAR-10 as JPEGs",
    "folder": "own images",
    "fashion-mnist-voc": "composed VOC-format set",
    "composed": "composed VOC-format set",
    "voc2007": "VOC 2007",
    "voc-format": "own VOC-format set",
}
PROBES = {"mlp": "MLP", "linear": "linear", "knn": "kNN"}
TRANSFERS = {
    "finetune-fc6-8": "classification fc6-8",
    "finetune-all": "classification all",
    "detect": "detection all",
}
# types of targets, short and long, and alignments; both are files, of which there may be more
TARGETS = {
    "sphere": ("sphere", "uniform on the unit sphere"),
    "onehot": ("discrete", "canonical basis vectors"),
    "lowdiscrepancy": ("low discrepancy", "a scrambled Sobol' sequence on the unit sphere"),
    "mixture": ("mixture", "noise around centres on the unit sphere"),
}
ALIGNMENTS = {"exact": "exact", "greedy": "greedy", "sinkhorn": "Sinkhorn"}


def said(method: str, word: str, otherwise: Any = None) -> Any:
    """What a method's file, in nat/methods or nat/fisher, says of it: ``LABEL``, ``WHEN``, ..."""
    family, file = ("fisher", "stage") if method == SIFT_FISHER else ("methods", method)
    return constant(family, file, word, otherwise)


def label(method: str) -> str:
    """A method's name for people; else its own name."""
    return said(method, "LABEL", method)


def cited(method: str) -> str:
    """A method's name with its reference, as a table's row has it."""
    reference = said(method, "REFERENCE")
    return f"{label(method)} ({reference})" if reference else label(method)


def data_name(source: str) -> str:
    """The name for people of the data that a provenance names; unknown ones as they are."""
    return DATA.get(source.replace("_", "-"), source)


def pace(period: object) -> str:
    """How often P is updated: ``every 3 epochs``, ``every epoch`` or ``never``."""
    if period == "never":
        return "never"
    return "every epoch" if period == 1 else f"every {period} epochs"
