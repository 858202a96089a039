"""The few numbers that ``dvc metrics`` and ``dvc plots`` compare between commits."""

import csv
import io
import json

import numpy as np

from nat.report.artifacts import Artifacts
from nat.report.names import METHODS, READINGS
from nat.runtime.errors import UserError

VOC = {"voc_fc": "fc6-8", "voc_all": "all"}


def metrics(artifacts: Artifacts) -> str:
    """Flat JSON: percent, mean over seeds, e.g. ``nat_mlp``, ``labels_voc_all``."""
    flat = {}
    for method in METHODS:
        for reading in READINGS:
            flat[f"{method}_{reading}"] = round(artifacts.probe(method, reading).mean, 2)
    for method in METHODS:
        for name, layers in VOC.items():
            flat[f"{method}_{name}"] = round(artifacts.voc(method, layers).mean, 2)
        detected = artifacts.detection(method)
        if detected:
            flat[f"{method}_voc_detection"] = round(detected.mean, 2)
    return json.dumps(flat, indent=2) + "\n"


def evolution(artifacts: Artifacts) -> str:
    """CSV with columns epoch, mlp, linear, knn: percent, mean over seeds (Figure 2, left)."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["epoch", *READINGS])
    for epoch, readings in artifacts.curve().items():
        writer.writerow([epoch, *(f"{readings[reading].mean:.2f}" for reading in READINGS)])
    return file.getvalue()


def training(artifacts: Artifacts) -> str:
    """CSV with columns epoch, loss, reassigned (percent) of NAT's training: means over seeds.

    Raises:
        UserError: the seeds were trained for different numbers of epochs.
    """
    lengths = [len(history["epoch"]) for history in artifacts.histories]
    if len(set(lengths)) > 1:
        raise UserError(
            f"pretrain: {min(lengths)} epochs with one seed and {max(lengths)} with another; train "
            "all seeds again with `python -m nat pretrain`"
        )
    epochs, loss, reassigned = (
        np.mean([history[column] for history in artifacts.histories], axis=0)
        for column in ("epoch", "loss", "reassigned")
    )
    rows = zip(epochs, loss, reassigned, strict=True)
    lines = [f"{epoch:.0f},{value:.5f},{share:.4f}" for epoch, value, share in rows]
    return "\n".join(["epoch,loss,reassigned", *lines]) + "\n"
