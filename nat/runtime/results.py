"""What a stage measured, as one small JSON file: numbers, whose they are, where they come from.

    {"schema": 1, "stage": "probe", "method": "nat", "override": "", "seed": 0,
     "measured": {"mlp": 78.36, ...}, "provenance": {...}}

Numbers are percent unless their name says otherwise. Every training adds its ``history``, a row an
epoch; NAT's probe adds its ``checkpoints``, a row each. Stages write them into ``artifacts``, from
where they are collected in ``results``, a folder for each profile, which is kept in git and has
those of other seeds too: a clone makes every table and figure of it, of all data sets, whichever
profile is in use. The reports read nothing else.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nat.runtime.io.files import atomic_write, write_json
from nat.runtime.io.outputs import Kind, beginning, json_where
from nat.runtime.naming import Name

SCHEMA = 1
SETTINGS = "settings.json"  # beside a profile's results: what they were made with
ILLUSTRATION = beginning("an illustration of this project", b"PK")


def result_of(stage: str) -> Kind:
    """What a stage's result may replace: a result of the same stage."""
    return json_where(
        f"a result of the stage {stage}",
        lambda found: "schema" in found and found["stage"] == stage,
    )


def write_result(
    path: Path,
    stage: str,
    name: Name,
    measured: dict[str, Any],
    provenance: dict[str, Any],
    rows: Mapping[str, list[dict[str, Any]]] | None = None,
    not_run: str = "",
) -> None:
    """Write a stage's result, whole.

    Args:
        path: of the file.
        stage: train, probe, finetune-fc6-8, finetune-all or detect.
        name: of the training it belongs to.
        measured: numbers by name, None where there is none.
        provenance: see provenance.py.
        rows: ``history`` or ``checkpoints``.
        not_run: why nothing was measured, of a method that the data cannot serve.

    Raises:
        UserError: something else is at ``path``, or it cannot be written.
    """
    content = {
        "schema": SCHEMA,
        "stage": stage,
        "method": name.method,
        "override": name.override,
        "seed": name.seed,
        "measured": measured,
        **({"not_run": not_run} if not_run else {}),
        **(rows or {}),
        "provenance": provenance,
    }
    write_json(path, content, result_of(stage))


def collect(measured: Path, results: Path, settings: dict[str, Any]) -> None:
    """Copy what stages measured to the results of all times, each file whole.

    What a stage beside this one has just measured may be missed; the next report has it.

    Args:
        measured: the folder that stages write to; need not exist.
        results: the profile's folder, to add to; another file of the same name is an older one.
        settings: all of params.yaml but ``machine``, by which the results are judged later on, when
            another profile is in use.

    Raises:
        UserError: something else is at a file's path, or it cannot be written.
    """
    found = list(_contents(measured))
    for name, content in found:
        path = results / name
        kind = result_of(name.parts[0]) if name.suffix == ".json" else ILLUSTRATION
        if not (path.exists() and path.read_bytes() == content):
            with atomic_write(path, kind) as temporary:
                temporary.write_bytes(content)
    if found:
        kind = json_where("settings of results", lambda found: "profile" in found)
        write_json(results / SETTINGS, settings, kind)


def _contents(measured: Path) -> Iterator[tuple[Path, bytes]]:
    """Results by their place in the folder, which is not listed as a whole.

    DVC takes a stage's output away and puts it back as it keeps it, so that any file or folder may
    be gone by the time it is read.
    """
    for folder, _, files in os.walk(measured):  # which passes over a folder that is gone
        for file in (Path(folder, name) for name in sorted(files)):
            if file.suffix in (".json", ".npz"):
                try:
                    content = file.read_bytes()
                except FileNotFoundError:
                    continue
                yield file.relative_to(measured), content
