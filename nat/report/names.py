"""What data, methods, readings and settings are called in tables and figures."""

DATA = {
    "fashion-mnist": "Fashion-MNIST",
    "imagenet": "ImageNet",
    "cifar10": "CIFAR-10",
    "folder": "own pictures",
    "fashion-mnist-voc": "composed VOC-format set",
    "voc2007": "VOC 2007",
}
METHODS = {"random": "Random", "labels": "Labels", "nat": "NAT"}
READINGS = {"mlp": "MLP", "linear": "linear", "knn": "kNN"}
LAYERS = ("fc6-8", "all")

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


def data_name(source: str) -> str:
    """The name for people of the data that a provenance names; unknown ones as they are."""
    return DATA.get(source, source)


def pace(period: object) -> str:
    """How often P is updated: ``every 3 epochs``, ``every epoch`` or ``never``."""
    if period == "never":
        return "never"
    return "every epoch" if period == 1 else f"every {period} epochs"
