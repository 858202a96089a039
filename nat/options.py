"""What the commands share: options, the parameter file, and errors in one line."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from nat.runtime.boundary import report, told
from nat.runtime.settings.params import load_params
from nat.runtime.signals import stopped_by

FILE = click.Path(path_type=Path)


class Commands(click.Group):
    """Shows what a user can mend as one line on standard error (see boundary.py)."""

    def invoke(self, context: click.Context) -> Any:
        """Run a command; exit with 1 on a fault of the user's."""
        try:
            return super().invoke(context)
        except EOFError as error:  # click would say "Aborted!", and nothing else
            raise RuntimeError(f"a file ended too early: {error}") from error
        except Exception as error:
            line = None if stopped_by(error) else told(error, context.invoked_subcommand)
            if line is None:
                raise
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
        file, overrides = context.params.pop("params_file"), context.params.pop("overrides")
        context.params["params"] = load_params(file, overrides)
        return super().invoke(context)


Decorator = Callable[[Callable[..., None]], Callable[..., None]]

option_seed: Decorator = click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of this run."
)
option_pictures: Decorator = click.option(
    "--pictures",
    type=FILE,
    default="data/pictures.json",
    show_default=True,
    help="Manifest of the image store.",
)
option_voc: Decorator = click.option(
    "--voc", type=FILE, default="data/voc.json", show_default=True, help="Manifest of the VOC set."
)
option_record: Decorator = click.option(
    "--record", type=FILE, required=True, help="Folder for its record and history."
)
option_artifacts: Decorator = click.option(
    "--artifacts",
    type=FILE,
    default="artifacts",
    show_default=True,
    help="Folder of what the other stages wrote.",
)

option_network: Decorator = click.option(
    "--network", type=FILE, required=True, help="network.safetensors of any method."
)


def option_out(help: str, default: str | None = None) -> Decorator:
    """--out, required without a default."""
    return click.option(
        "--out", type=FILE, default=default, required=default is None, show_default=True, help=help
    )
