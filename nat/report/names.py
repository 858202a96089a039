"""What data, methods, probes and settings are called in tables and figures."""

import ast
from contextlib import suppress
from pathlib import Path

import nat

DATA = {
    "fashion-mnist": "Fashion-MNIST",
    "imagenet": "ImageNet",
    "cifar10": "CIFAR-10",
    "folder": "own images",
    "fashion-mnist-voc": "composed VOC-format set",
    "composed": "composed VOC-format set",
    "voc2007": "VOC 2007",
}
METHODS = Path(nat.__file__).parent / "methods"
LABELS = {"random": "Random", "labels": "Labels", "nat": "NAT"}  # of files that name none
PROBES = {"mlp": "MLP", "linear": "linear", "knn": "kNN"}

# types of targets and alignments are files, of which there may be more
TARGETS = {
    "sphere": "sphere",
    "onehot": "discrete",
    "lowdiscrepancy": "low discrepancy",
    "mixture": "mixture",
}
TARGETS_LONG = {
    "sphere": "uniform on the unit sphere",
    "onehot": "canonical basis vectors",
    "lowdiscrepancy": "a scrambled Sobol' sequence on the unit sphere",
    "mixture": "noise around centres on the unit sphere",
}
ALIGNMENTS = {"exact": "exact", "greedy": "greedy", "sinkhorn": "Sinkhorn"}


def label(method: str) -> str:
    """A method's name for people: LABEL of its file in nat/methods, else its own name."""
    return _constant(method, "LABEL") or LABELS.get(method, method)


def cited(method: str) -> str:
    """A method's name with its reference, as a table's row has it."""
    reference = _constant(method, "REFERENCE")
    return f"{label(method)} ({reference})" if reference else label(method)


def _constant(method: str, name: str) -> str:
    """A text at the top of a method's file, which is parsed and not run; empty if there is none."""
    with suppress(OSError, ValueError, SyntaxError):
        for node in ast.parse((METHODS / f"{method}.py").read_text(encoding="utf-8")).body:
            match node:
                case ast.Assign(targets=[ast.Name(id=found)], value=ast.Constant(value=str(text))):
                    if found == name:
                        return text
    return ""


def data_name(source: str) -> str:
    """The name for people of the data that a provenance names; unknown ones as they are."""
    return DATA.get(source.replace("_", "-"), source)


def pace(period: object) -> str:
    """How often P is updated: ``every 3 epochs``, ``every epoch`` or ``never``."""
    if period == "never":
        return "never"
    return "every epoch" if period == 1 else f"every {period} epochs"
