"""The commands, one a stage: read parameters, call, write.

``nat`` and ``python -m nat`` are the same. The pipeline uses the latter: in a queued experiment's
copy of the project, the script of an editable install would import the original's code.
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import click

from nat import __version__
from nat.options import (
    FILE,
    Commands,
    OfTraining,
    WithParams,
    argument_method,
    option_images,
    option_network,
    option_path,
    option_voc,
)
from nat.runtime.naming import IMAGES, MEASURED, PROPOSALS, REPORTS, RESULTS, VOC, Name
from nat.runtime.settings.families import members
from nat.runtime.settings.params import NAT, SIFT_FISHER, LayersTrained, Params

OTHERS = click.Choice([m for m in members("methods") if m != NAT])


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

    lines = listing(path, folder) if show or name is None else switch(name, path, folder, force)
    click.echo("\n".join(lines))


@main.command(cls=WithParams)
@option_path("out", "File that says that they are right, for stages that wait.", "data/checked")
def check(params: Params, out: Path) -> None:
    """Refuse a setting of the parameter file that is wrong, by name."""
    from nat.check import check

    check(params, "params.yaml", out)


@main.group()
def prepare() -> None:
    """Get data and bring it into the form that training reads."""


@prepare.command("images", cls=WithParams)
@option_path("out", "The store's manifest.", IMAGES)
def prepare_images(params: Params, out: Path) -> None:
    """Fill the image store with the images to train on and to probe with."""
    from nat.datasets.filling.prepare import prepare_images

    prepare_images(params, out)


@prepare.command("voc", cls=WithParams)
@option_path("out", "The set's manifest.", VOC)
def prepare_voc(params: Params, out: Path) -> None:
    """Compose the VOC-format set to fine-tune on, or check one's own VOC 2007."""
    from nat.voc.data.prepare import prepare_voc

    prepare_voc(params, out)


@main.command(cls=WithParams)
@option_voc
@option_path("out", "Folder of both splits' boxes and their summary.", PROPOSALS)
def proposals(params: Params, voc: Path, out: Path) -> None:
    """Find or read the boxes that a detector classifies, for every VOC image."""
    from nat.voc.proposals.prepare import prepare_proposals

    prepare_proposals(params, voc, out)


@main.command(cls=OfTraining)
@option_images
@option_path("out", "Array of the targets, .npy.")
def targets(params: Params, name: Name, images: Path, out: Path | None) -> None:
    """Sample the fixed targets, one for each image to pretrain on."""
    from nat.data.manifest import facts_of, pretraining_split, read_manifest
    from nat.targets import sample_targets, save_targets

    n = facts_of(read_manifest(images), pretraining_split(images), images)["count"]
    sampled = sample_targets(params.target_type, n, params.targets, name.seed)
    save_targets(sampled, out or name.targets)


@main.command(cls=OfTraining)
@option_images
@option_path("targets", "What `nat targets` wrote; an ablation of targets samples its own.")
@option_path("out", "Folder for the network and its checkpoints.")
@option_path("result", "JSON of its losses, speed and provenance.")
def pretrain(
    params: Params,
    name: Name,
    images: Path,
    targets: Path | None,
    out: Path | None,
    result: Path | None,
) -> None:
    """Train a network without labels: Noise As Targets (Algorithm 1)."""
    from nat.methods.nat import pretrain

    if targets is None and "target" not in name.override:
        targets = name.targets
    result = result or name.result("train")
    pretrain(params, name, images, targets, out or name.network, result)


@main.command(cls=OfTraining)
@click.argument("method", type=OTHERS, metavar="METHOD")
@option_images
@option_path("out", "Folder for the network.")
@option_path("result", "JSON of its losses, speed and provenance.")
def train(params: Params, name: Name, images: Path, out: Path | None, result: Path | None) -> None:
    """Train the network of a compared METHOD, a file of nat/methods."""
    from nat.methods import train

    train(params, name, images, out or name.network, result or name.result("train"))


@main.command(cls=OfTraining)
@argument_method
@option_network
@option_path("checkpoints", "Folder of checkpoints to probe too; by default NAT's own.")
@option_images
@option_path("out", "JSON of accuracies and their provenance.")
def probe(
    params: Params,
    name: Name,
    network: Path | None,
    checkpoints: Path | None,
    images: Path,
    out: Path | None,
) -> None:
    """Train classifiers on METHOD's frozen trunk (Table 3): MLP, linear, kNN."""
    from nat.network.pretrained import passed_on
    from nat.probe import probe

    if network is None and (name.network / "checkpoints").exists():
        checkpoints = checkpoints or name.network / "checkpoints"
    network, out = network or name.network / "network.safetensors", out or name.result("probe")
    if not passed_on(network, "probe", name, out):
        probe(params, name, images, network, checkpoints, out)


@main.command(cls=OfTraining)
@option_images
@option_path("out", "JSON of accuracies and their provenance.")
def fisher(params: Params, name: Name, images: Path, out: Path | None) -> None:
    """Train the probe's classifiers on SIFT and Fisher vectors (Table 3)."""
    from nat.fisher.stage import fisher

    name = replace(name, method=SIFT_FISHER)
    fisher(params, name, images, out or name.result("probe"))


@main.command(cls=OfTraining)
@argument_method
@option_network
@click.option(
    "--layers",
    type=click.Choice(["fc6-8", "all"]),
    default="fc6-8",
    show_default=True,
    help="What to train: the classifier on a frozen trunk, or everything.",
)
@option_voc
@option_path("out", "JSON of average precisions and their provenance.")
def finetune(
    params: Params,
    name: Name,
    network: Path | None,
    layers: LayersTrained,
    voc: Path,
    out: Path | None,
) -> None:
    """Fine-tune METHOD's network on VOC classification (Table 4)."""
    from nat.network.pretrained import passed_on
    from nat.voc.classification.finetune import finetune

    stage = f"finetune-{layers}"
    network, out = network or name.network / "network.safetensors", out or name.result(stage)
    if not passed_on(network, stage, name, out):
        finetune(params, name, voc, network, layers, out)


@main.command(cls=OfTraining)
@argument_method
@option_network
@option_voc
@option_path("proposals", "What `nat proposals` wrote.", PROPOSALS)
@option_path("out", "JSON of average precisions and their provenance.")
@option_path("detections", "Folder for the kit's result files.")
def detect(
    params: Params,
    name: Name,
    network: Path | None,
    voc: Path,
    proposals: Path,
    out: Path | None,
    detections: Path | None,
) -> None:
    """Train and test a detector on VOC from METHOD's network (Table 4): Fast R-CNN."""
    from nat.network.pretrained import passed_on
    from nat.runtime.io.files import atomic_write
    from nat.voc.detection.detect import detect
    from nat.voc.detection.results import DETECTIONS

    network = network or name.network / "network.safetensors"
    out, detections = out or name.result("detect"), detections or name.detections
    if passed_on(network, "detect", name, out):
        with atomic_write(detections, DETECTIONS) as empty:  # which the pipeline waits for
            empty.mkdir()
    else:
        detect(params, name, voc, proposals, network, out, detections)


@main.command(cls=OfTraining)
@option_images
@option_path("nat", "NAT's network folder.")
@option_path("labels", "Network folder of the method with labels.")
@option_path("targets", "The targets that NAT was trained with.")
@option_voc
@option_path("result", "What `nat detect` measured.")
@option_path("detections", "Folder of detections that it wrote; none are shown if it is missing.")
@option_path("out", "Folder of what the figures show.")
def illustrate(
    params: Params, name: Name, images: Path, voc: Path, out: Path | None, **given: Path | None
) -> None:
    """Gather what Figures 1, 3 and 4 and the figure of detections show."""
    from nat.illustrate.stage import Inputs, illustrate

    usual = {
        "nat": name.network,
        "labels": Name("labels", seed=name.seed).network,
        "targets": name.targets,
        "result": name.result("detect"),
        "detections": name.detections,
    }
    paths = {key: given[key] or path for key, path in usual.items()}
    illustrate(params, name.seed, Inputs(images, voc=voc, **paths), out or name.illustrations)


@main.command(cls=WithParams)
@option_path("measured", "Folder of what the stages measured here, if anything.", MEASURED)
@option_path("results", "Folder of all results, to which that is added.", RESULTS)
@option_path("out", "Folder of the reports.", REPORTS)
def report(params: Params, measured: Path, results: Path, out: Path) -> None:
    """Write Tables 1 to 4, Figures 1 to 4, and one page that tells what held."""
    from nat.report.write import write_report
    from nat.runtime.results import collect

    settings = params.model_dump(mode="json")
    collect(measured, results / params.profile, settings | {"machine": None})
    for line in write_report(settings, results, out):
        click.echo(line)


@main.command(cls=WithParams)
@click.argument("stages", nargs=-1)
@click.option("--quick", "is_quick", is_flag=True, help="NAT and Random alone; print accuracies.")
def lanes(params: Params, stages: tuple[str, ...], is_quick: bool) -> None:
    """Run the pipeline, or STAGES and what they need, as many at once as there are cores.

    Otherwise as `dvc repro`: what is up to date is not run. See `machine.lanes`.
    """
    if is_quick:
        from nat.lanes.quick import quick

        click.echo("\n".join(quick(params)))
    else:
        from nat.lanes.run import run

        run(params, stages)


@main.command()
@click.option("--network", type=FILE, required=True, help="network.safetensors of any method.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["nat", "torchvision", "onnx"]),
    default="nat",
    show_default=True,
    help="For this package, for plain PyTorch with torchvision's names, or for ONNX runtimes.",
)
@click.option(
    "--keep-batch-norm",
    is_flag=True,
    help="Do not fold batch norm into the convolutions (torchvision, onnx).",
)
@click.option("--out", type=FILE, required=True, help="The trunk, .safetensors or .onnx.")
def export(
    network: Path, form: Literal["nat", "torchvision", "onnx"], keep_batch_norm: bool, out: Path
) -> None:
    """Write a network's trunk to a file of its own, for other programs."""
    if form == "onnx":
        from nat.api.onnx import export_onnx

        export_onnx(network, out, keep_batch_norm)
        return
    from nat.api.export import export_trunk

    export_trunk(network, out, form, keep_batch_norm)


@main.command()
@click.option("--network", type=FILE, required=True, help="network.safetensors of any method.")
@click.option("--images", type=FILE, required=True, help="Folder of images, with its subfolders.")
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
@click.option("--skip-corrupt", is_flag=True, help="List unreadable images and leave them out.")
@click.option(
    "--device",
    metavar="auto|cpu|cuda[:N]",
    help="Where to compute; auto, the default, takes a GPU where there is one.",
)
@click.option("--threads", type=click.IntRange(1, 1000), help="CPU threads; by default PyTorch's.")
@option_path("params", "Parameter file whose `machine` says both, where no option does.")
@click.option("--out", type=FILE, required=True, help="Array of features, .npy or .parquet.")
def embed(
    network: Path,
    images: Path,
    layer: Literal["conv5", "output"],
    size: int | None,
    skip_corrupt: bool,
    device: str | None,
    threads: int | None,
    params: Path | None,
    out: Path,
) -> None:
    """Turn a folder of images into features, a row an image; works anywhere, without settings."""
    import torch

    from nat.api.embed import embed_folder
    from nat.api.load import load_trunk
    from nat.runtime.device import find_device, prepare_device
    from nat.runtime.settings.load import load_params

    found = None if params is None else prepare_device(load_params(params).machine)
    if threads is not None:
        torch.set_num_threads(threads)
    if found is None or device is not None:
        found = find_device(device or "auto", "--device")
    trunk = load_trunk(network, size, found)
    for fault in embed_folder(trunk, images, out, layer, skip_corrupt):
        click.echo(f"left out: {fault}", err=True)
