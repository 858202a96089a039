"""What every training of this project has around its loop, so that a loop shows the method alone.

    with Session(params, name, "probe", used, out, manifest=manifest, network=file) as session:
        for epoch in session.epochs(network, optimizer, 15, {"probe.lr": lr}, source=file):
            for t, rows, images in epoch.batches(loader.epoch(epoch.number), loader.steps):
                ...                     # forward, backward, step: the method
                epoch.add(loss)
            session.log(loss=epoch.loss() / loader.steps)
        session.write(measured, data)

A session knows the processes and their devices, resumes an interrupted training, ends one that
diverges, shows how far it is, and writes the result with where it comes from.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn, Self

import torch
from torch import nn
from tqdm import tqdm

from nat.data.seeds import generator, seed_layers
from nat.network.model import Trunk
from nat.network.optimizer import INTERVAL, Guard
from nat.runtime.code import code_of
from nat.runtime.distributed import init_distributed
from nat.runtime.io.files import check_output
from nat.runtime.io.paths import from_here
from nat.runtime.kept import keep
from nat.runtime.live import Live
from nat.runtime.naming import Name
from nat.runtime.progress import attended, duration, progress, say
from nat.runtime.provenance import provenance
from nat.runtime.results import result_of, write_result
from nat.runtime.resume import ResumableRun, scratch_folder
from nat.runtime.settings.params import Params


class Session:
    """One training, or several one after the other, and their result.

    Attributes:
        params: all settings.
        name: of the training whose result it is.
        seed: of every random draw.
        used: the settings that decide the result, as nested dicts.
        distributed: the processes.
        device: of this one.
        run: the last training: its history, seconds and state folder.
        prepared: wall time of this process's session until its last training began.
    """

    def __init__(
        self,
        params: Params,
        name: Name,
        stage: str,
        used: dict[str, Any],
        out: Path,
        **inputs: Path | str,
    ) -> None:
        """Join the processes, after a look at whether the result could be written.

        Args:
            params: all settings.
            name: of the training.
            stage: of the result, such as "probe"; its code decides the result too.
            used: the settings that decide the result.
            out: the result's file.
            inputs: what else decides it; a Path stands for the content of that file.

        Raises:
            UserError: ``out`` cannot be written or is something else, or the processes do not meet.
        """
        check_output(out, result_of(stage))
        self.params, self.name, self.seed = params, name, name.seed
        self.stage, self.out, self.inputs = stage, out, inputs
        self.used = {"precision": params.precision, **used}
        self._begun = time.perf_counter()
        self.distributed = init_distributed(params.machine, params.precision)
        self.device = self.distributed.device
        self.run: ResumableRun | None = None
        self.prepared = 0.0
        self._runs: list[ResumableRun] = []
        self._locks = ExitStack()
        self._live = Live(params.machine.tensorboard if self.distributed.is_main else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Unlock the trainings' states; remove them if all went well, as the result is written."""
        if kind is None:
            for run in self._runs:
                run.finish()
        self._locks.close()
        self._live.close()
        if kind is None:
            self.distributed.close()

    def epochs(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer | None,
        total: int,
        blame: Mapping[str, float],
        source: object,
        fault: Callable[[], str | None] = lambda: None,
        label: str = "",
        inputs: Mapping[str, Path | str] | None = None,
        **state: torch.Tensor,
    ) -> Iterator["Epoch"]:
        """The epochs still to do, each from where the state of the one before it was saved.

        Args:
            network: what is trained; in training mode, its layers' draws seeded, in each epoch.
            optimizer: of the network; None where it is not trained by gradients.
            total: epochs of the whole training.
            blame: settings to name when it diverges: learning rates first, then sizes of a batch.
            source: the file that it starts from, to name when that is at fault.
            fault: looks for numbers in what is trained on that are not finite, and tells of them.
            label: what progress is shown for; by default the method.
            inputs: what decides this training besides what decides all of the session.
            state: more tensors to save and restore, in place.
        """
        self.prepared = self.elapsed
        name = self.name.method if self.stage == "train" else self.stage
        run = self.run = ResumableRun(
            scratch_folder(
                self.params.machine.scratch,
                f"{name}-{self.seed}",
                code=code_of(self.stage, self.name.method, self.params),
                parameters=self.used,
                seed=self.seed,
                computing=self.distributed.computing,
                **self.inputs,
                **(inputs or {}),
            ),
            {"network": network, **({"optimizer": optimizer} if optimizer else {}), **state},
            self.distributed,
        )
        self._locks.enter_context(run)
        self._runs.append(run)
        guard = Guard(blame, source, network, optimizer, fault)
        for number in run.epochs(total):
            network.train()
            seed_layers(self.seed, "layers", number, self.distributed.rank)
            epoch = Epoch(self, guard, number, f"{label or name} {number + 1}/{total}")
            yield epoch
            if not attended():
                say(epoch.told(run.row, total))

    def generator(self, *purpose: str | int) -> torch.Generator:
        """A CPU generator for ``purpose``, see data/seeds.py."""
        return generator(self.seed, *purpose)

    @property
    def state(self) -> Path:
        """The folder of the state of the last training."""
        assert self.run is not None
        return self.run.folder

    def log(self, **row: Any) -> None:
        """Add to the row of the history that this epoch has."""
        assert self.run is not None
        self.run.log(**row)
        self._live.add(f"{self.name}/{self.run.folder.name}", len(self.run.history) + 1, row)

    @property
    def seconds(self) -> float:
        """Wall time of the last training's epochs, over all its interruptions."""
        return self.run.seconds if self.run else time.perf_counter() - self._begun

    @property
    def elapsed(self) -> float:
        """Wall time of this process's session so far."""
        return time.perf_counter() - self._begun

    def provenance(self, data: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Where the result comes from.

        Args:
            data: ``data``, its name; ``store``, its content; ``images``, their counts.
            seconds: it took.
        """
        return provenance(
            self.used, self.seed, data, seconds, self.device, self.distributed.compiled
        )

    def keep(self, module: nn.Module, trunk: Trunk, **shape: Any) -> None:
        """Keep what was trained where ``machine.keep`` says, if anywhere, by the first process.

        Args:
            module: all that is needed to use it.
            trunk: the module's, or of its shape.
            shape: what else it can be made of again, as nat/api/kept.py reads it.

        Raises:
            UserError: it cannot be written.
        """
        folder = self.params.machine.keep
        if folder is None or not self.distributed.is_main:
            return
        about = {
            "stage": self.stage,
            **asdict(self.name),
            "trunk": trunk.described,
            **shape,
            "parameters": self.used,
        }
        say(f"kept: {from_here(keep(folder, self.stage, self.name, module, about))}")

    def write(
        self,
        measured: dict[str, Any],
        data: Mapping[str, Any],
        seconds: float | None = None,
        rows: Mapping[str, list[dict[str, Any]]] | None = None,
    ) -> None:
        """Write the result, by the first process.

        Args:
            measured: numbers by name.
            data: see ``provenance``.
            seconds: it took; by default those of the last training.
            rows: ``history`` or ``checkpoints``.

        Raises:
            UserError: it cannot be written.
        """
        where = self.provenance(data, self.seconds if seconds is None else seconds)
        if self.distributed.is_main:
            numbers = [f"{k} {v:.6g}" for k, v in measured.items() if isinstance(v, int | float)]
            told = [", ".join(numbers)] if numbers else []
            told += [duration(where["seconds"]), str(self.out)]
            print(f"{self.stage} {self.name}: {'; '.join(told)}", flush=True)
            write_result(self.out, self.stage, self.name, measured, where, rows)


class Epoch:
    """One epoch of a training.

    Attributes:
        number: counted from 0.
    """

    def __init__(self, session: Session, guard: Guard, number: int, label: str) -> None:
        self.number = number
        self._session, self._guard, self._label = session, guard, label
        self._total = torch.zeros((), device=session.device)
        self._step, self._scale, self._images = 0, 1, 0
        self._begun = time.perf_counter()
        self._bar: tqdm | None = None

    def batches(
        self, batches: Iterable[tuple[Any, ...]], steps: int, size: int = 1, summed: int = 1
    ) -> Iterator[tuple[Any, ...]]:
        """The batches, each with its number in the whole training before it, while progress shows.

        Args:
            batches: of this epoch.
            steps: how many there are in an epoch.
            size: images of a batch, of all processes, for the speed shown.
            summed: images whose losses a batch's loss adds up, for the loss shown.
        """
        self._scale, self._images = summed, steps * size
        bar = progress(batches, self._label, total=steps, unit="images", unit_scale=size)
        self._bar = bar
        for self._step, batch in enumerate(bar):
            yield self.number * steps + self._step, *batch

    def add(self, loss: torch.Tensor) -> None:
        """Count a batch's loss, and end the training if it is no longer finite.

        Raises:
            UserError: names what to change.
        """
        self._total += loss.detach()
        looked = self._guard.look(self._total, self.number, self._step)
        if looked and self._bar and not self._bar.disable:
            total, step = looked
            if step % INTERVAL == INTERVAL - 1:
                self._bar.set_postfix(loss=f"{total / (step + 1) / self._scale:.4f}")

    def loss(self) -> float:
        """The sum of the batches' losses, over all processes.

        Raises:
            UserError: it, or a weight, is not finite.
        """
        return self._guard.end(self._session.distributed.all_reduce(self._total), self.number)

    def told(self, row: Mapping[str, Any], total: int) -> str:
        """The epoch in a line, as it ends.

        Args:
            row: of the history.
            total: epochs of the whole training.
        """
        seconds = time.perf_counter() - self._begun
        facts = [f"loss {row['loss']:.4f}"] if row.get("loss") is not None else []
        for name in ("knn", "train", "test"):
            if row.get(name) is not None:
                facts += [f"{'kNN' if name == 'knn' else name} {row[name]:.1f} %"]
        facts += [f"{self._images / seconds:,.0f} images/s"]
        facts += [f"{duration(seconds * (total - self.number - 1))} left"]
        return f"{self._label}: {', '.join(facts)}"

    def fail(self, what: str) -> NoReturn:
        """End the training at this step.

        Raises:
            UserError: names what to change.
        """
        self._guard.fail(what, self.number, self._step)
