r"""Detection where every object's own box is proposed, and nothing else: is the evaluation sane?

    python benchmarks/ground_truth_boxes.py \
        --network artifacts/networks/labels-0/network.safetensors

`nat detect` three times, with the settings of params.yaml: with the boxes that it is usually given,
then with those of the ground truth, difficult objects included, for test alone, then for trainval
too, which leaves hardly any background to learn from. No object of test can be missed for want of a
box, and no box lies beside one or between two: what remains is to name the objects. Were this no
better than the first row, then boxes, images and ground truth would not belong together, or would
be compared wrongly. Recall is that of test's objects at IoU 0.5.
"""

import json
import shutil
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

import click
import numpy as np

from nat.runtime.naming import Name
from nat.runtime.settings.load import load_params
from nat.voc.data.boxes import recall
from nat.voc.data.manifest import open_voc
from nat.voc.data.proposals import load_proposals, save_proposals
from nat.voc.data.reader import VocSplit
from nat.voc.detection.detect import detect

SPLITS = ("trainval", "test")
GROUND_TRUTH = "ground truth"


def objects(split: VocSplit) -> dict[str, np.ndarray]:
    """The objects' own boxes, by image."""
    names = [one.name for one in split.annotations]
    return {name: split.objects(row).boxes.numpy() for row, name in enumerate(names)}


@click.command(context_settings={"show_default": True})
@click.option("--network", type=click.Path(path_type=Path), required=True)
@click.option("--voc", type=click.Path(path_type=Path), default="data/voc.json")
@click.option("--proposals", type=click.Path(path_type=Path), default="artifacts/proposals")
@click.option("--seed", default=0)
@click.option("--set", "overrides", multiple=True, help="NAME=VALUE instead of params.yaml's.")
def main(network: Path, voc: Path, proposals: Path, seed: int, overrides: tuple[str, ...]) -> None:
    """Print a markdown table."""
    params = load_params(overrides=overrides)
    _, *splits = open_voc(params, voc)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        own = params.machine.model_copy(update={"scratch": str(folder / "scratch")})
        params = params.model_copy(update={"machine": own})
        print("| trainval | test | boxes in test | recall, % | mAP, % | area under the curve, % |")
        print("| --- | --- | ---: | ---: | ---: | ---: |")
        for exact in ((), ("test",), SPLITS):
            given = folder / "-".join(("boxes", *exact))
            labels = []
            for split, part in zip(splits, SPLITS, strict=True):
                file = given / f"{part}.safetensors"
                labels.append(GROUND_TRUTH if part in exact else params.proposals.source)
                if part in exact:
                    save_proposals(file, objects(split))
                else:
                    given.mkdir(exist_ok=True)
                    shutil.copy(proposals / file.name, file)
            out = folder / "result.json"
            with redirect_stdout(sys.stderr):  # the stage's own line, which is none of the table
                detect(params, Name(seed=seed), voc, given, network, out, folder / "detections")
            measured = json.loads(out.read_text())["measured"]
            stored = load_proposals(given / "test.safetensors")
            each = sum(len(stored[one]) for one in stored) / len(stored)
            cells = [*labels, f"{each:.1f}", f"{100 * recall(splits[1], stored):.1f}"]
            cells += [str(measured[key]) for key in ("map", "map_area")]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
