"""What data, methods and readings are called in tables and figures."""

DATA = {
    "fashion-mnist": "Fashion-MNIST",
    "imagenet": "ImageNet",
    "folder": "own pictures",
    "fashion-mnist-voc": "composed VOC-format set",
    "voc2007": "VOC 2007",
}
METHODS = {"random": "Random", "labels": "Labels", "nat": "NAT"}
READINGS = {"mlp": "MLP", "linear": "linear", "knn": "kNN"}
LAYERS = ("fc6-8", "all")


def data_name(source: str) -> str:
    """The name for people of the data that a provenance names; unknown ones as they are."""
    return DATA.get(source, source)
