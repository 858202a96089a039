"""The commands, one a stage: read parameters, call, write.

``nat`` and ``python -m nat`` are the same. The pipeline uses the latter: in a queued experiment's
copy of the project, the script of an editable install would import the original's code.
"""

from pathlib import Path
from typing import Literal

import click

from nat import __version__
from nat.options import (
    FILE,
    Commands,
    WithParams,
    option_artifacts,
    option_network,
    option_out,
    option_pictures,
    option_record,
    option_seed,
    option_voc,
)
from nat.runtime.settings.params import LayersTrained, Params


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Noise As Targets: unsupervised learning by predicting noise.

    Each command is a stage of the pipeline (`dvc repro` runs them all) and works by itself.
    """


@main.command()
@click.argument("name", required=False)
@click.option("--list", "show", is_flag=True, help="Show the profiles and what to expect.")
@click.option("--force", is_flag=True, help="Switch though the file has edits; keep a copy of it.")
@click.option(
    "--params",
    "path",
    type=FILE,
    default="params.yaml",
    show_default=True,
    help="Parameter file to write.",
)
@click.option(
    "--profiles",
    "folder",
    type=FILE,
    default="profiles",
    show_default=True,
    help="Folder of the profiles.",
)
def profile(name: str | None, show: bool, force: bool, path: Path, folder: Path) -> None:
    """Rewrite the parameter file from the profile NAME; `machine` stays as it is."""
    from nat.runtime.settings.profiles import listing, switch

    lines = listing(folder) if show or name is None else switch(name, path, folder, force)
    click.echo("\n".join(lines))


@main.command(cls=WithParams)
@option_out("File that says that they are right, for the stages that wait for it.", "data/checked")
def check(params: Params, out: Path) -> None:
    """Refuse a setting of the parameter file that is wrong, by name."""
    from nat.runtime.io.files import whole
    from nat.runtime.io.outputs import beginning
    from nat.runtime.io.paths import check_untracked

    check_untracked("machine.data", params.machine.data)
    check_untracked("machine.scratch", params.machine.scratch)
    # the same words whatever the settings, so that a change of theirs reruns nothing by itself
    words = "Every setting has a known name and a possible value.\n"
    with whole(out, beginning("what `nat check` writes", words.encode())) as temporary:
        temporary.write_text(words)


@main.group()
def prepare() -> None:
    """Get data and bring it into the form that training reads."""


@prepare.command("pictures", cls=WithParams)
@option_out("The store's manifest.", "data/pictures.json")
def prepare_pictures(params: Params, out: Path) -> None:
    """Fill the image store with the pictures to train on and to probe with."""
    from nat.datasets.filling.prepare import prepare_pictures

    prepare_pictures(params, out)


@prepare.command("voc", cls=WithParams)
@option_out("The set's manifest.", "data/voc.json")
def prepare_voc(params: Params, out: Path) -> None:
    """Compose the VOC-format set to fine-tune on, or check one's own VOC 2007."""
    from nat.voc.data.prepare import prepare_voc

    prepare_voc(params, out)


@main.command(cls=WithParams)
@option_voc
@option_out("Folder of both splits' boxes and their summary.", "artifacts/proposals")
def proposals(params: Params, voc: Path, out: Path) -> None:
    """Find or read the boxes that a detector classifies, for every VOC picture."""
    from nat.voc.proposals.prepare import prepare_proposals

    prepare_proposals(params, voc, out)


@main.command(cls=WithParams)
@option_pictures
@option_seed
@option_out("Array of the targets, .npy.")
def targets(params: Params, pictures: Path, seed: int, out: Path) -> None:
    """Sample the fixed targets, one for each training picture."""
    from nat.data.manifest import facts_of, read_manifest
    from nat.targets import sample_targets, save_targets

    n = facts_of(read_manifest(pictures), "train", pictures)["count"]
    save_targets(sample_targets(params.target_type, n, params.targets, seed), out)


@main.command(cls=WithParams)
@option_pictures
@click.option("--targets", type=FILE, required=True, help="What `nat targets` wrote.")
@option_seed
@option_out("Folder for the network and its checkpoints.")
@option_record
def pretrain(
    params: Params, pictures: Path, targets: Path, seed: int, out: Path, record: Path
) -> None:
    """Train a network without labels: Noise As Targets (Algorithm 1)."""
    from nat.methods.nat import pretrain

    pretrain(params, seed, pictures, targets, out, record)


@main.command(cls=WithParams)
@click.argument("method", type=click.Choice(["random", "labels"]))
@option_pictures
@option_seed
@option_out("Folder for the network and its checkpoints.")
@option_record
def baseline(
    params: Params, method: str, pictures: Path, seed: int, out: Path, record: Path
) -> None:
    """Make the network of a compared METHOD."""
    if method == "random":
        from nat.methods.random import untrained

        untrained(params, seed, pictures, out, record)
    else:
        from nat.methods.labels import supervised

        supervised(params, seed, pictures, out, record)


@main.command(cls=WithParams)
@option_network
@option_pictures
@option_seed
@option_out("JSON of accuracies and their provenance.")
def probe(params: Params, network: Path, pictures: Path, seed: int, out: Path) -> None:
    """Train classifiers on a frozen trunk (Table 3): MLP, linear, kNN."""
    from nat.probe import probe

    probe(params, seed, pictures, network, out)


@main.command(cls=WithParams)
@click.option("--checkpoints", type=FILE, required=True, help="Folder of checkpoints.")
@option_pictures
@option_seed
@option_out("JSON of accuracies by epoch and their provenance.")
def evolution(params: Params, checkpoints: Path, pictures: Path, seed: int, out: Path) -> None:
    """Probe every checkpoint of a training (Figure 2, left)."""
    from nat.probe import evolution

    evolution(params, seed, pictures, checkpoints, out)


@main.command(cls=WithParams)
@option_network
@click.option(
    "--layers",
    type=click.Choice(["fc6-8", "all"]),
    default="fc6-8",
    show_default=True,
    help="What to train: the classifier on a frozen trunk, or everything.",
)
@option_voc
@option_seed
@option_out("JSON of average precisions and their provenance.")
def finetune(
    params: Params, network: Path, layers: LayersTrained, voc: Path, seed: int, out: Path
) -> None:
    """Fine-tune a network on VOC classification (Table 4)."""
    from nat.voc.classification.finetune import finetune

    finetune(params, seed, voc, network, layers, out)


@main.command()
@option_network
@click.option(
    "--format",
    "form",
    type=click.Choice(["nat", "torchvision"]),
    default="nat",
    show_default=True,
    help="For this package, or for plain PyTorch with torchvision's names.",
)
@click.option(
    "--keep-batch-norm",
    is_flag=True,
    help="Do not fold batch norm into the convolutions (torchvision).",
)
@option_out("The trunk, .safetensors.")
def export(
    network: Path, form: Literal["nat", "torchvision"], keep_batch_norm: bool, out: Path
) -> None:
    """Write a network's trunk to a file of its own, for other programs."""
    from nat.api.export import export_trunk

    export_trunk(network, out, form, keep_batch_norm)


@main.command(cls=WithParams)
@option_network
@click.option(
    "--pictures", type=FILE, required=True, help="Folder of pictures, with its subfolders."
)
@click.option(
    "--layer",
    type=click.Choice(["conv5", "output"]),
    default="conv5",
    show_default=True,
    help="The trunk's features, or the network's output on the unit sphere.",
)
@click.option(
    "--size",
    type=click.IntRange(1),
    help="Pixels that the short side is scaled to before the central crop; the crop's by default.",
)
@click.option("--skip-corrupt", is_flag=True, help="List unreadable pictures and leave them out.")
@option_out("Array of features, .npy or .parquet.")
def embed(
    params: Params,
    network: Path,
    pictures: Path,
    layer: Literal["conv5", "output"],
    size: int | None,
    skip_corrupt: bool,
    out: Path,
) -> None:
    """Turn a folder of pictures into features, a row a picture; of the settings, uses `machine`."""
    from nat.api.embed import embed_folder
    from nat.api.load import load_trunk
    from nat.runtime.device import prepare_device

    trunk = load_trunk(network, size, prepare_device(params.machine))
    for fault in embed_folder(trunk, pictures, out, layer, skip_corrupt):
        click.echo(f"left out: {fault}", err=True)


@main.command(cls=WithParams)
@click.option("--network", type=FILE, required=True, help="network.safetensors of any method.")
@option_voc
@click.option(
    "--proposals",
    type=FILE,
    default="artifacts/proposals",
    show_default=True,
    help="What `nat proposals` wrote.",
)
@option_seed
@option_out("JSON of average precisions and their provenance.")
@click.option("--detections", type=FILE, required=True, help="Folder for the kit's result files.")
def detect(
    params: Params,
    network: Path,
    voc: Path,
    proposals: Path,
    seed: int,
    out: Path,
    detections: Path,
) -> None:
    """Train and test a detector on VOC from a network (Table 4): Fast R-CNN."""
    from nat.voc.detection.detect import detect

    detect(params, seed, voc, proposals, network, out, detections)


@main.command(cls=WithParams)
@option_pictures
@click.option(
    "--nat",
    type=FILE,
    default="artifacts/networks/nat-0",
    show_default=True,
    help="NAT's network folder.",
)
@click.option(
    "--labels",
    type=FILE,
    default="artifacts/networks/labels-0",
    show_default=True,
    help="Network folder of the method with labels.",
)
@click.option(
    "--targets",
    type=FILE,
    default="artifacts/targets/0.npy",
    show_default=True,
    help="The targets that NAT was trained with.",
)
@option_seed
@option_out("What the figures show, .npz.")
def illustrate(
    params: Params, pictures: Path, nat: Path, labels: Path, targets: Path, seed: int, out: Path
) -> None:
    """Gather what Figures 1, 3 and 4 show: features, neighbours, filters."""
    from nat.illustrate.features import illustrate

    illustrate(params, seed, pictures, nat, labels, targets, out)


@main.command(cls=WithParams)
@option_voc
@click.option(
    "--result",
    type=FILE,
    default="artifacts/detect/nat-0.json",
    show_default=True,
    help="Average precisions that `nat detect` wrote.",
)
@click.option(
    "--detections",
    type=FILE,
    default="artifacts/detections/nat-0",
    show_default=True,
    help="Folder of detections that it wrote with them.",
)
@option_seed
@option_out("What the figure shows, .npz.")
def illustrate_detections(
    params: Params, voc: Path, result: Path, detections: Path, seed: int, out: Path
) -> None:
    """Gather what the figure of detections shows: the best and the worst class."""
    from nat.illustrate.detections import illustrate_detections

    illustrate_detections(params, seed, voc, result, detections, out)


@main.command(cls=WithParams)
@option_artifacts
@option_out("Folder of the reports.", "reports")
def tabulate(params: Params, artifacts: Path, out: Path) -> None:
    """Write Tables 3 and 4, Figures 1 to 4 and the metrics."""
    from nat.report.tabulate import tabulate

    tabulate(params, artifacts, out)


@main.command(cls=WithParams)
@option_artifacts
@option_out("Folder of their own within the reports.", "reports/ablations")
def tabulate_ablations(params: Params, artifacts: Path, out: Path) -> None:
    """Write the tables and figures of section 4.1: Tables 1 and 2, Figure 2 right."""
    from nat.report.tabulate import tabulate_ablations

    tabulate_ablations(params, artifacts, out)


@main.command(cls=WithParams)
@option_artifacts
@click.option(
    "--pipeline", type=FILE, default=".", show_default=True, help="Folder of dvc.yaml, to draw it."
)
@option_out("Folder of the reports.", "reports")
def page(params: Params, artifacts: Path, pipeline: Path, out: Path) -> None:
    """Write one page that tells what held, as README.md and as index.html."""
    from nat.report.page.stage import write_page

    write_page(params, artifacts, pipeline, out)
