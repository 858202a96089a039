"""The methods whose trunks are compared, a file each: rows of Tables 3 and 4.

A method is a file of this folder; its name is the value in params.yaml. It defines

- ``LABEL``, what tables call it, and ``REFERENCE``, whom it is due to, or "";
- ``Settings``, what params.yaml's group ``baselines.NAME`` holds;
- ``train(session, settings)``, which trains a network on the session's images and hands it on by
  ``session.save``. Whatever is random draws from nat/data/seeds.py. What the data cannot serve
  raises ``NotServed``; the row then says why it was not run.

And for the reports, if it is no row of the paper's tables or has a task of its own,

- ``WHEN``: "compared" in the paper's tables (which it need not say), "cited" as related work, or
  "later" than the paper;
- ``MEASURE``, the column of its history that tells how well it does its own task; ``BETTER``,
  whether that is "lower" or "higher" then; ``MEASURE_TEXT``, what it is in words, with its unit.

nat.py, the paper's own, is set by groups of params.yaml of their own. What methods share is in
nat/pretext: its ``pretrain_on`` is the loop of any that has one loss.
"""

import json
from collections.abc import Collection
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from nat.data.loader import Loader
from nat.data.manifest import pretraining_split
from nat.data.seeds import generator
from nat.data.store import Store, validation_of
from nat.network.model import Network, initialise
from nat.network.pretrained import check_network, write_network, write_not_run
from nat.network.session import Session
from nat.runtime.naming import Name
from nat.runtime.progress import say
from nat.runtime.results import write_result
from nat.runtime.settings.families import load_member, own
from nat.runtime.settings.params import ModelSettings, Params


class NotServed(Exception):
    """A method needs what the data do not have; the message says so: "needs colour"."""


def find_method(name: str) -> ModuleType:
    """The file of a method.

    Raises:
        UserError: it lacks what a method defines.
    """
    return load_member("methods", name, "LABEL", "REFERENCE", "Settings", "train")


def settings_of(
    method: ModuleType, name: str, params: Params, path: Path | str = "params.yaml"
) -> Any:
    """A method's own settings, checked.

    Raises:
        UserError: one is unknown, missing or wrong.
    """
    return own(method.Settings, params.baselines.get(name, {}), f"baselines.{name}", path)


def train(params: Params, name: Name, manifest: Path, out: Path, result: Path) -> None:
    """Train the network of a compared method.

    Args:
        params: model, augment and the method's own settings are used.
        name: of the training.
        manifest: of the image store.
        out: the network's folder to write.
        result: the result's file to write.

    Raises:
        UserError: faulty settings or data, an output that cannot be written, or a loss that is no
            longer finite.
    """
    method = find_method(name.method)
    settings = settings_of(method, name.method, params)
    used = params.model_dump(include={"evaluate_on", "model", "augment"})
    used["baselines"] = {name.method: settings.model_dump()}
    with TrunkSession(params, name, used, manifest, out, result) as session:
        try:
            method.train(session, settings)
        except NotServed as error:
            session.leave_out(str(error))


class TrunkSession(Session):
    """The training of a network whose trunk is to be compared.

    Attributes:
        images: what to train on without labels.
        train: the labelled images to train on; the same as ``images`` for most data sets.
        test: labelled images to test on, of the split ``evaluate_on``.
        validation: labelled images of no other use; None where there are none.
    """

    def __init__(
        self,
        params: Params,
        name: Name,
        used: dict[str, Any],
        manifest: Path,
        out: Path,
        result: Path,
        **inputs: Path | str,
    ) -> None:
        """Open the images; see ``Session``."""
        check_network(out, name.method)
        super().__init__(params, name, "train", used, result, manifest=manifest, **inputs)
        self.folder, self.manifest = out, manifest
        folder, split = params.machine.data, pretraining_split(manifest)
        self.train, self.test = (
            Store(manifest, folder, each) for each in ("train", params.evaluate_on)
        )
        self.validation = validation_of(manifest, folder)
        self.images = self.train if split == "train" else Store(manifest, folder, split)
        self._read: dict[str, dict[str, Any]] = {}

    @property
    def group(self) -> str:
        """What the method's own settings are called in params.yaml."""
        return f"baselines.{self.name.method}"

    @property
    def crop(self) -> int:
        """Side of the crops, pixels."""
        return self.params.augment.crop

    def loader(self, store: Store, batch_size: int, setting: str) -> Loader:
        """Batches of a store; ``setting`` is what ``batch_size`` is called in params.yaml.

        Raises:
            UserError: the batch is larger than the data or cannot be shared by the processes.
        """
        return Loader(store, batch_size, self.params.augment, self.seed, self.distributed, setting)

    def network(self, outputs: int, trunk: str | None = None) -> Network:
        """The network of params.yaml, on the device; the same first weights for every method.

        A method that is about another ``trunk``, one of SHAPES, names it.
        """
        settings = self.params.model
        if trunk is not None:
            settings = ModelSettings.model_validate(settings.model_dump() | {"trunk": trunk})
        network = Network(settings, self.crop, outputs, self.images.channels)
        initialise(network, generator(self.seed, "weights"))
        return network.to(self.device)

    def save(
        self,
        network: Network,
        images_seen: int = 0,
        measured: dict[str, Any] | None = None,
        assignment: torch.Tensor | None = None,
        checkpoints: Collection[int] = (),
    ) -> None:
        """Write the network's folder and the result, by the first process.

        Args:
            network: to hand on.
            images_seen: images that training has looked at, for the speed.
            measured: numbers for the result.
            assignment: NAT's P, int64 (n,).
            checkpoints: the epochs, counted from 1, after which ``checkpoint`` was called.

        Raises:
            UserError: a checkpoint is missing in the run's state, or an output cannot be written.
        """
        if not self.distributed.is_main:
            return
        state = self.run.folder if self.run else None
        write_network(self.folder, network, self.name.method, state, assignment, checkpoints)
        found: dict[str, Any] = {}
        rows: dict[str, list[dict[str, Any]]] = {}
        if self.run is not None:
            found["loss"] = self.run.history[-1]["loss"]
            found["images_per_second"] = round(images_seen / self.run.seconds)
            rows["history"] = self.run.history
        self.write(found | (measured or {}), self.described(), rows=rows)

    def has_read(self, what: str, facts: dict[str, Any]) -> None:
        """Count what a method reads beside the images among what decides its result.

        Args:
            what: it is, such as "frames".
            facts: for the provenance; they hold a checksum of its content.
        """
        self._read[what] = facts
        self.inputs[what] = json.dumps(facts)

    def described(self) -> dict[str, Any]:
        """The images, and what else was read, for the provenance."""
        others = {self.train, self.test} - {self.images}
        order = [store for store in (self.train, self.test) if store in others]
        return self.images.described(*order) | self._read

    def leave_out(self, reason: str) -> None:
        """Hand on, instead of a network, why there is none; the method's other stages say so too.

        Raises:
            UserError: an output cannot be written.
        """
        if self.distributed.is_main:
            say(f"{self.name.method}: not run, {reason}")
            where = self.provenance(self.described(), self.elapsed)
            write_not_run(self.folder, self.name.method, reason, where)
            write_result(self.out, self.stage, self.name, {}, where, not_run=reason)
