r"""Detection where every object's own box is proposed, and nothing else: is the evaluation sane?

    python benchmarks/ground_truth_boxes.py \
        --network artifacts/networks/labels-0/network.safetensors

`nat detect` twice, with the settings of params.yaml: with the boxes that it is usually given, and
with those of the ground truth, difficult objects included, for trainval as for test. No object can
then be missed for want of a box, no box lies beside an object or between two, and what remains is
to name what is in it: the mean average precision is what the trunk's classes allow. A low one would
mean that boxes, pictures and ground truth do not belong together, or are compared wrongly. Recall
is that of test's objects at IoU 0.5.
"""

import json
import tempfile
from pathlib import Path

import click

from nat.params import load_params
from nat.voc.detection.detect import detect
from nat.voc.manifest import open_voc
from nat.voc.proposals.boxes import recall
from nat.voc.proposals.store import load_proposals, save_proposals

SPLITS = ("trainval", "test")


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
        truth = folder / "truth"
        for split, part in zip(splits, SPLITS, strict=True):
            boxes = {
                one.name: split.objects(row).boxes.numpy()
                for row, one in enumerate(split.annotations)
            }
            save_proposals(truth / f"{part}.safetensors", boxes)
        own = params.machine.model_copy(update={"scratch": str(folder / "scratch")})
        params = params.model_copy(update={"machine": own})
        print("| boxes | a picture | recall, % | mAP, % | area under the curve, % |")
        print("| --- | ---: | ---: | ---: | ---: |")
        for label, given in ((params.proposals.source, proposals), ("ground truth", truth)):
            out = folder / "result.json"
            detect(params, seed, voc, given, network, out, folder / "detections")
            measured = json.loads(out.read_text())["measured"]
            stored = load_proposals(given / "test.safetensors")
            each = sum(len(stored[one]) for one in stored) / len(stored)
            found = f"{each:.1f} | {100 * recall(splits[1], stored):.1f}"
            print(f"| {label} | {found} | {measured['map']} | {measured['map_area']} |", flush=True)


if __name__ == "__main__":
    main()
