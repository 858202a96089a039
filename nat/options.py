"""What the commands share: options, the parameter file, and errors in one line.

A path that is not given is the pipeline's own (see runtime/naming.py).
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from nat.runtime.boundary import drop_output, report, told
from nat.runtime.naming import IMAGES, VOC, Name
from nat.runtime.settings.families import members
from nat.runtime.settings.load import load_params, overridden
from nat.runtime.settings.params import NAT, Params
from nat.runtime.signals import stopped_by

FILE = click.Path(path_type=Path)


class Commands(click.Group):
    """Shows what a user can mend as one line on standard error (see runtime/boundary.py)."""

    def invoke(self, context: click.Context) -> Any:
        """Run a command; exit with 1 on a fault of the user's."""
        try:
            found = super().invoke(context)
            sys.stdout.flush()  # or Python would tell of a full disk, in its own words, as it ends
            return found
        except EOFError as error:  # click would say "Aborted!", and nothing else
            raise RuntimeError(f"a file ended too early: {error}") from error
        except Exception as error:
            line = None if stopped_by(error) else told(error, context.invoked_subcommand)
            if line is None:
                raise
        drop_output()
        report(line)
        sys.exit(1)


class WithParams(click.Command):
    """A command that reads the parameter file: adds --params and --set, hands on ``params``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += [
            click.Option(
                ["--params", "params_file"],
                type=FILE,
                default="params.yaml",
                show_default=True,
                help="Parameter file.",
            ),
            click.Option(
                ["--set", "overrides"],
                multiple=True,
                metavar="NAME=VALUE",
                help="Override a parameter, e.g. pretrain.epochs=3; may be repeated.",
            ),
        ]

    def invoke(self, context: click.Context) -> Any:
        """Load the parameters, then run."""
        context.params["params"] = self.loaded(context)
        return super().invoke(context)

    def loaded(self, context: click.Context) -> Params:
        """The parameters."""
        return load_params(context.params.pop("params_file"), context.params.pop("overrides"))


class OfTraining(WithParams):
    """A command on one training: adds --seed and --override, hands on ``name`` and ``params``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params[:0] = [
            click.Option(
                ["--seed"],
                type=click.IntRange(0),
                default=0,
                show_default=True,
                help="Seed of this run.",
            ),
            click.Option(
                ["--override"],
                default="",
                metavar="NAME=VALUE,...",
                help="Settings of an ablation, which become a part of its name.",
            ),
        ]

    def invoke(self, context: click.Context) -> Any:
        """Make the name, apply the override, then run."""
        given = context.params
        given["name"] = Name(given.pop("method", NAT), given.pop("override"), given.pop("seed"))
        return super().invoke(context)

    def loaded(self, context: click.Context) -> Params:
        """The parameters, with what the name overrides."""
        name: Name = context.params["name"]
        return overridden(super().loaded(context), name.override)


Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def option_path(name: str, help: str, default: Path | str | None = None) -> Decorator:
    """An option that names a file or folder; without ``default`` None, for the pipeline's own."""
    return click.option(
        f"--{name}", type=FILE, default=default, show_default=default is not None, help=help
    )


argument_method: Decorator = click.argument(
    "method", type=click.Choice(members("methods")), default=NAT, required=False, metavar="[METHOD]"
)
option_images = option_path("images", "Manifest of the image store.", IMAGES)
option_voc = option_path("voc", "Manifest of the VOC set.", VOC)
option_network = option_path("network", "network.safetensors of any method.")
