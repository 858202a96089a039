"""The transfer task of Table 3 and Figure 2: freeze conv1 to conv5, train a classifier on top.

Three classifiers of the same frozen features: the paper's MLP (section 4), a linear one and k
nearest neighbours, which today's readers compare. The first two are trained at once, on the same
batches, since computing the features is most of the work.

The result's ``history`` has a row an epoch, of the network's own probe: epoch, lr, lr_linear, the
loss of both, and the MLP's accuracy in percent, ``train`` on the batches as they were trained on,
``test`` on the central crops of the test images.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import nn

from nat.data.loader import Loader
from nat.data.seeds import generator
from nat.data.store import Store
from nat.evaluation.features import BATCH, features
from nat.evaluation.knn import knn_accuracy
from nat.evaluation.multi_crop import multi_crop_accuracies
from nat.network.model import Trunk, initialise, load_network, mlp, read_network
from nat.network.schedule import constant_then_decay
from nat.network.session import Session
from nat.runtime.distributed import Distributed
from nat.runtime.errors import UserError
from nat.runtime.io.files import sha256
from nat.runtime.naming import Name
from nat.runtime.settings.params import Augment, Params

History = list[dict[str, Any]]
BANK = 100_000  # images that kNN looks at, at most: AlexNet's conv5 of so many is 3.7 GB


class Classifiers(nn.Module):
    """An MLP of the head's shape and a linear classifier, side by side on the same features."""

    def __init__(
        self, inputs: int, hidden: int, classes: int, dropout: float, setting: str = "probe.hidden"
    ) -> None:
        super().__init__()
        self.mlp = mlp(inputs, hidden, classes, dropout, setting)
        # features of different trunks differ in scale; batch norm without parameters removes that
        self.linear = nn.Sequential(
            nn.Flatten(), nn.BatchNorm1d(inputs, affine=False), nn.Linear(inputs, classes)
        )

    def forward(self, conv5: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Float (b, ...) to the logits of both, float (b, classes)."""
        return self.mlp(conv5), self.linear(conv5)


class Batches(Protocol):
    """What classifiers are trained on: a Loader, or one of features."""

    steps: int

    def epoch(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield rows, int64 (b,) on the CPU, and what ``features`` takes, on the device."""


def fit(
    session: Session,
    classifiers: Classifiers,
    batches: Batches,
    labels: torch.Tensor,
    features: Callable[[torch.Tensor], torch.Tensor],
    source: Path,
    inputs: Mapping[str, Path | str],
    tested: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> None:
    """Train both classifiers, by the settings ``probe``; then they are in evaluation mode.

    Args:
        session: of the probe.
        classifiers: to train, from weights that are drawn here; moved to the device.
        batches: of this process.
        labels: int64 (n,), of all images.
        features: from a batch to what the classifiers take, without gradient.
        source: the file that the features come from, to name when it is at fault.
        inputs: what decides the features, see ``Session.epochs``.
        tested: features to test on, float (m, d), and their labels, for the history; None but in
            the first process.

    Raises:
        UserError: a loss that is no longer finite.
    """
    settings, distributed = session.params.probe, session.distributed
    initialise(classifiers, generator(session.seed, "classifiers"))
    classifiers.to(session.device)
    wrapped = distributed.wrap(classifiers)
    # v <- momentum v + (1 - momentum) g, as the released protocol writes it
    optimizer = torch.optim.SGD(
        [{"params": classifiers.mlp.parameters()}, {"params": classifiers.linear.parameters()}],
        lr=settings.lr,
        momentum=settings.momentum,
        dampening=settings.momentum,
        weight_decay=settings.weight_decay,
    )
    for weight in classifiers.parameters():  # v starts at zero, PyTorch's at the first gradient
        optimizer.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
    blame = {
        "probe.lr": settings.lr,
        "probe.lr_linear": settings.lr_linear,
        "probe.batch_size": settings.batch_size,
    }
    for epoch in session.epochs(
        classifiers, optimizer, settings.epochs, blame, source, inputs=inputs
    ):
        right = torch.zeros((), dtype=torch.int64, device=session.device)
        rates = (settings.lr, settings.lr_linear)
        for group, lr in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = constant_then_decay(lr, settings.lr_decay, settings.lr_hold, epoch.number)
        for _, rows, batch in epoch.batches(
            batches.epoch(epoch.number), batches.steps, settings.batch_size
        ):
            given = labels[rows].to(session.device, non_blocking=True)
            with distributed.autocast():
                with torch.no_grad():
                    found = features(batch)
                by_mlp, by_linear = wrapped(found)
            losses = [F.cross_entropy(by.float(), given) for by in (by_mlp, by_linear)]
            loss = losses[0] + losses[1]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            epoch.add(loss)
            right += (by_mlp.detach().argmax(1) == given).sum()
        lr, lr_linear = (group["lr"] for group in optimizer.param_groups)
        session.log(
            epoch=epoch.number + 1,
            lr=lr,
            lr_linear=lr_linear,
            loss=epoch.loss() / batches.steps / distributed.size,
            train=100 * int(distributed.all_reduce(right)) / (batches.steps * settings.batch_size),
            test=None if tested is None else accuracy(classifiers.mlp.eval(), *tested),
        )
    classifiers.eval()
    for statistics in classifiers.buffers():  # of each process's own last batch until here
        distributed.broadcast(statistics)


def probe(
    params: Params,
    name: Name,
    manifest: Path,
    network_file: Path,
    checkpoints: Path | None,
    out: Path,
) -> None:
    """Probe a network's trunk and write the accuracies with their provenance to ``out``.

    Args:
        params: probe is used; the crops are as large as the network's.
        name: of the training that the network comes from.
        manifest: of the image store.
        network_file: network.safetensors of any method.
        checkpoints: a folder of epoch-EEEE.safetensors files to probe too (Figure 2, left: the last
            epoch is the network itself, and epoch 0 the row "Random"); None for none.
        out: a JSON file; ``measured`` has mlp, linear and knn, and mlp_train, the MLP's accuracy on
            images that it was trained on; so has each of ``checkpoints``. ``history``: see above.

    Raises:
        UserError: images without labels, a damaged network or checkpoint, a batch larger than the
            data, or an output that cannot be written.
    """
    used = params.model_dump(include={"evaluate_on", "probe"})
    files = {} if checkpoints is None else find_checkpoints(checkpoints)
    with Session(params, name, "probe", used, out, manifest=manifest) as session:
        probing = Probing(session, manifest)
        measured, history = probing.accuracies(network_file, keep=True)
        rows = [{"epoch": epoch, **probing.accuracies(file)[0]} for epoch, file in files.items()]
        data = probing.train.described(probing.test)
        more = {} if checkpoints is None else {"checkpoints": rows}
        session.write(measured, data, session.elapsed, more | {"history": history})


def find_checkpoints(folder: Path) -> dict[int, Path]:
    """The checkpoints of one training by their epochs, every one of which is read and checked.

    Raises:
        UserError: no such folder, a file that is no checkpoint, a damaged one, or one of
            another network than the others.
    """
    remedy = "make it with `python -m nat pretrain`"
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; {remedy}")
    found, shapes = {}, []
    for file in sorted(folder.iterdir()):
        if file.name.startswith("."):  # of file managers, or a copy that was interrupted
            continue
        epoch = re.fullmatch(r"epoch-(\d{4,9})\.safetensors", file.name, re.ASCII)
        if not epoch:
            raise UserError(f"{file}: no checkpoint, named epoch-EEEE.safetensors; remove it")
        found[int(epoch[1])] = file
        shapes.append(read_network(file)[0])
        if shapes[-1] != shapes[0]:
            raise UserError(
                f"{file}: of another network than the others; make them again with "
                "`python -m nat pretrain`"
            )
    return dict(sorted(found.items()))


class Probing:
    """One seed's probes of one or more trunks, on the same images."""

    def __init__(self, session: Session, manifest: Path) -> None:
        """Open the images.

        Raises:
            UserError: images without labels.
        """
        self.session = session
        data = session.params.machine.data
        splits = ("train", session.params.evaluate_on)
        self.train, self.test = (Store(manifest, data, split) for split in splits)
        for store in (self.train, self.test):
            store.require_labels("the probe")
        self._found: dict[str, tuple[dict[str, float], History]] = {}

    def accuracies(
        self, network_file: Path, keep: bool = False
    ) -> tuple[dict[str, float], History]:
        """Train both classifiers and test all three; percent of the test images, and the history.

        ``mlp_train`` is the MLP's on as many training images (section 4.1 compares both).

        The state of the training remains until the session's end, so that an interruption between
        two checkpoints repeats none. Of equal files one is probed.

        Args:
            network_file: network.safetensors, or a checkpoint.
            keep: whether the classifiers are, where ``machine.keep`` says.

        Raises:
            UserError: a damaged network, or a batch larger than the data.
        """
        key = sha256(network_file) if network_file.is_file() else str(network_file)
        if key not in self._found:
            self._found[key] = self._probed(network_file, keep)
        return self._found[key]

    def _probed(self, network_file: Path, keep: bool) -> tuple[dict[str, float], History]:
        session, train, test = self.session, self.train, self.test
        settings, distributed, device = session.params.probe, session.distributed, session.device
        network = load_network(network_file, train.channels)
        crop = network.input_size
        trunk = network.trunk.to(device).eval().requires_grad_(False)
        augment = Augment(crop=crop, flip=settings.flip)
        loader = Loader(
            train, settings.batch_size, augment, session.seed, distributed, "probe.batch_size"
        )
        classifiers = Classifiers(
            trunk.features(crop), settings.hidden, len(train.classes), settings.dropout
        )
        tested = central(trunk, test, crop, distributed)
        inputs = {"network": network_file}
        fit(session, classifiers, loader, train.labels, trunk, network_file, inputs, tested)
        way = (crop, settings.crops, distributed)
        mlp_accuracy, linear_accuracy = multi_crop_accuracies(
            lambda cuts: classifiers(trunk(cuts)), test, *way
        )
        # on as many images that were trained on; evenly spaced, as a store may be sorted by class
        some = torch.linspace(0, len(train) - 1, min(len(train), len(test))).long()
        (mlp_train,) = multi_crop_accuracies(
            lambda cuts: (classifiers.mlp(trunk(cuts)),), train, *way, some
        )
        bank, knn = central(trunk, train, crop, distributed), 0.0
        if bank is not None and tested is not None:
            knn = knn_accuracy(*bank, *tested, settings.neighbours)
        found = {
            "mlp": mlp_accuracy,
            "linear": linear_accuracy,
            "knn": knn,
            "mlp_train": mlp_train,
        }
        if keep:
            both = nn.ModuleDict({"trunk": trunk, "classifiers": classifiers})
            shape = {"crop": crop, "hidden": settings.hidden, "classes": train.classes}
            session.keep(both, trunk, **shape)
        assert session.run is not None
        return {name: round(value, 2) for name, value in found.items()}, session.run.history


def central(
    trunk: Trunk, store: Store, crop: int, distributed: Distributed
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """conv5 of the central crops of at most BANK images, and their labels.

    Returns:
        float32 (n, d), on the device, and int64 (n,); None but in the first process.
    """
    if not distributed.is_main:
        return None
    # evenly spaced rows: a store may be sorted by class
    rows = torch.linspace(0, len(store) - 1, min(len(store), BANK)).long()
    return features(trunk, store, rows, crop, distributed.device), store.labels[rows]


@torch.no_grad()
def accuracy(classifier: nn.Module, found: torch.Tensor, labels: torch.Tensor) -> float:
    """Percent right of a classifier in evaluation mode; float (n, d), and labels int64 (n,)."""
    classes = torch.cat([classifier(some).argmax(1) for some in found.split(BATCH)])
    return 100 * int((classes.cpu() == labels).sum()) / len(labels)
