"""The stage ``fisher``: the row SIFT+FV of Table 3.

Fisher vectors of whole images, neither cropped nor mirrored, reduced by PCA, in place of conv5; the
MLP, with units of its own number, the linear classifier and kNN are those of the probe.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from sklearn.decomposition import PCA

from nat.data.seeds import derive, generator
from nat.data.store import Store, check_batch, epoch_batches
from nat.evaluation.knn import knn_accuracy
from nat.fisher.encoding import Mixture, fit_mixture
from nat.fisher.sift import described
from nat.network.session import Session
from nat.probe import BANK, Classifiers, fit
from nat.runtime.errors import UserError
from nat.runtime.naming import Name
from nat.runtime.progress import say
from nat.runtime.settings.params import SIFT_FISHER, Params

LABEL = "SIFT+FV"
REFERENCE = "Sánchez et al., 2013"
EACH = 25  # descriptors of an image that the mixture is fitted on
BATCH = 4096  # vectors classified at once


class VectorBatches:
    """Features of images in random order, in batches; see ``probe.Batches``."""

    def __init__(self, vectors: torch.Tensor, session: Session) -> None:
        """``vectors`` are float32 (n, d).

        Raises:
            UserError: a batch larger than the data, or one that the processes cannot share.
        """
        self.vectors, self.session = vectors, session
        self.batch_size = session.params.probe.batch_size
        check_batch(self.batch_size, len(vectors), "probe.batch_size")
        self.steps = len(vectors) // self.batch_size

    def epoch(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield rows, int64 (b,), and their features, on the device."""
        for rows in epoch_batches(
            len(self.vectors), self.batch_size, self.session.generator("order", epoch)
        ):
            yield rows, self.vectors[rows].to(self.session.device, non_blocking=True)


def fisher(params: Params, name: Name, manifest: Path, out: Path) -> None:
    """Describe, encode, reduce and classify the images; write the accuracies to ``out``.

    Args:
        params: fisher and probe are used.
        name: whose seed is that of every draw.
        manifest: of the image store.
        out: a JSON file, with ``measured`` as of the probe.

    Raises:
        UserError: several processes, images without labels or fewer than the settings need, a
            batch larger than the data, or an output that cannot be written.
    """
    used = params.model_dump(include={"evaluate_on", "fisher", "probe"})
    with Session(params, name, "probe", used, out, manifest=manifest) as session:
        if session.distributed.size > 1:
            raise UserError("launcher: fisher is one process; use python")
        splits = ("train", params.evaluate_on)
        train, test = (Store(manifest, params.machine.data, split) for split in splits)
        for store in (train, test):
            store.require_labels("the probe")
        encoder = Encoder(session, train)
        vectors = {store.split: encoder.reduced(store) for store in (train, test)}
        measured = classified(session, manifest, vectors, train, test)
        session.write(measured, train.described(test), session.elapsed)


class Encoder:
    """Everything that is fitted on the training images before there are features."""

    def __init__(self, session: Session, train: Store) -> None:
        """Fit it.

        Raises:
            UserError: too few images, or too few patches with a gradient, for the settings.
        """
        self.session, self.settings = session, session.params.fisher
        settings, few = self.settings, min(self.settings.images, len(train))
        if settings.dimension > few:
            raise UserError(
                f"fisher.dimension: {settings.dimension} is larger than the {few} images that PCA "
                f"is fitted on; use at most {few}"
            )
        order = torch.randperm(len(train), generator=generator(session.seed, "fisher"))
        self.mixture = self._mixture(train, order[: -(-settings.samples // EACH)])
        fitted = self._encoded(
            train, order[: settings.images].sort().values, "Fisher vectors for PCA"
        )
        say(f"{SIFT_FISHER}: PCA of {len(fitted):,} Fisher vectors to {settings.dimension} numbers")
        self.pca = PCA(settings.dimension, svd_solver="randomized", random_state=self._seed("pca"))
        self.pca.fit(fitted)

    def _seed(self, purpose: str) -> int:
        return derive(self.session.seed, "fisher", purpose) % 2**32  # of scikit-learn's

    def _batches(
        self, store: Store, rows: torch.Tensor, label: str
    ) -> Iterator[tuple[torch.Tensor, list[np.ndarray]]]:
        threads, settings = self.session.params.machine.workers, self.settings
        label = f"{SIFT_FISHER}: {label}"
        return described(store, rows, settings.patches, settings.step, threads, label)

    def _mixture(self, train: Store, rows: torch.Tensor) -> Mixture:
        settings, samples = self.settings, []
        draws = np.random.default_rng(self._seed("samples"))
        for _, images in self._batches(train, rows, "SIFT for the mixture"):
            samples += [each[draws.permutation(len(each))[:EACH]] for each in images]
        found = np.concatenate(samples)[: settings.samples]
        for needed in ("gaussians", "sift"):
            if (value := getattr(settings, needed)) > len(found):
                raise UserError(
                    f"fisher.{needed}: {value} is larger than the {len(found)} patches that are "
                    "looked at; use fewer, or more of fisher.samples"
                )
        told = f"{settings.gaussians} Gaussians of {len(found):,} descriptors"
        say(f"{SIFT_FISHER}: mixture of {told}")
        return fit_mixture(
            found, settings.sift, settings.gaussians, self._seed("mixture"), self.session.device
        )

    def _encoded(self, store: Store, rows: torch.Tensor, label: str) -> np.ndarray:
        """Float32 (n, 2 K D)."""
        batches = self._batches(store, rows, label)
        return np.concatenate([self.mixture.fisher_vectors(d).cpu().numpy() for _, d in batches])

    def reduced(self, store: Store) -> torch.Tensor:
        """The features of all images of a store: float32 (n, dimension)."""
        found = torch.empty(len(store), self.settings.dimension)
        label = f"Fisher vectors, {store.split}"
        for rows, images in self._batches(store, torch.arange(len(store)), label):
            vectors = self.mixture.fisher_vectors(images).cpu().numpy()
            found[rows] = torch.from_numpy(self.pca.transform(vectors))
        return found


@torch.no_grad()
def _outputs(classifiers: Classifiers, vectors: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The classes that both find: int64 (2, n)."""
    parts = (classifiers(part.to(device)) for part in vectors.split(BATCH))
    return torch.cat([torch.stack([by.argmax(1) for by in part]) for part in parts], dim=1).cpu()


def classified(
    session: Session, manifest: Path, vectors: dict[str, torch.Tensor], train: Store, test: Store
) -> dict[str, float]:
    """Train both classifiers and test all three, as ``probe.Probing``; percent.

    Args:
        session: of the stage.
        manifest: of the image store.
        vectors: float32 (n, d) of each split.
        train: whose labels are learnt.
        test: whose labels are to be found.
    """
    settings, device = session.params.probe, session.device
    classifiers = Classifiers(
        vectors["train"].shape[1], session.params.fisher.hidden, len(train.classes),
        settings.dropout, "fisher.hidden",
    )  # fmt: skip
    content = hashlib.sha256(vectors["train"].numpy().tobytes()).hexdigest()
    batches = VectorBatches(vectors["train"], session)
    inputs, tested = {"vectors": content}, (vectors[test.split].to(device), test.labels)
    fit(session, classifiers, batches, train.labels, lambda x: x, manifest, inputs, tested)
    some = torch.linspace(0, len(train) - 1, min(len(train), len(test))).long()
    bank = torch.linspace(0, len(train) - 1, min(len(train), BANK)).long()
    by_mlp, by_linear = _outputs(classifiers, vectors[test.split], device) == test.labels
    in_training, _ = _outputs(classifiers, vectors["train"][some], device) == train.labels[some]
    rights = {"mlp": by_mlp, "linear": by_linear, "mlp_train": in_training}
    found = {name: 100 * right.double().mean().item() for name, right in rights.items()}
    found["knn"] = knn_accuracy(
        vectors["train"][bank].to(device), train.labels[bank],
        vectors[test.split].to(device), test.labels, settings.neighbours,
    )  # fmt: skip
    return {name: round(found[name], 2) for name in ("mlp", "linear", "knn", "mlp_train")}
