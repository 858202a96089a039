"""Decoding in parallel: processes turn chunks of encoded images into rows of an array file.

This module is all that a decoding process loads: no torch, so that it starts at once and is small.
"""

import multiprocessing
from collections.abc import Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from nat.data.formats import Unreadable
from nat.data.squares import read_square
from nat.runtime.errors import UserError
from nat.runtime.processes import end_with_parent
from nat.runtime.signals import deaf_children, held

AHEAD = 3  # chunks given out for each process: one in work, others so that it never waits


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows to fill.

    Attributes:
        number: of the chunk.
        first: its first row.
        array: the file to write into.
        header: bytes before its row 0.
        root: folder or archive of the images.
        names: of the images, a row each.
        places: offset and length of each in the archive, bytes; None for a folder.
        size: side of the squares, pixels.
        channels: 1 or 3.
        upright: whether EXIF rotations are applied.
    """

    number: int
    first: int
    array: Path
    header: int
    root: Path
    names: list[str]
    places: list[tuple[int, int]] | None
    size: int
    channels: int
    upright: bool


Faults = dict[int, str]  # row: what is wrong with its image


def write_chunk(chunk: Chunk) -> Faults:
    """Decode the images and write their rows; an unreadable image's row is zero.

    Written by a system call rather than through a memory map: a full disk is then an error instead
    of a signal that ends the process, and the process stays as small as its chunk.
    """
    shape = (len(chunk.names), chunk.channels, chunk.size, chunk.size)
    rows = np.zeros(shape, np.uint8)
    faults: Faults = {}
    for row, content in enumerate(_contents(chunk)):
        try:
            rows[row] = read_square(content, chunk.size, chunk.channels, chunk.upright)
        except Unreadable as error:
            faults[chunk.first + row] = str(error)
    with open(chunk.array, "r+b") as file:
        file.seek(chunk.header + chunk.first * rows[0].nbytes)
        file.write(rows.data)
    return faults


def _contents(chunk: Chunk) -> Iterator[bytes]:
    """What the files hold.

    Raises:
        UserError: one is gone or not to be read. It is none of the unreadable images, which are
            noted for good: it may be there again when the work goes on.
    """
    path = chunk.root
    try:
        if chunk.places is None:
            for name in chunk.names:
                path = chunk.root / name
                yield path.read_bytes()
            return
        with open(path, "rb", buffering=0) as archive:
            for offset, length in chunk.places:
                archive.seek(offset)
                yield archive.read(length)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror or error}); put it back or make it readable, "
            "and run again, which goes on where this stopped"
        ) from error


def write_chunks(chunks: Iterator[Chunk], processes: int) -> Generator[tuple[int, Faults]]:
    """Write all chunks; yields number and faults of each when it is written, in any order.

    Args:
        chunks: read no further ahead than the processes need.
        processes: how many decode; 1 decodes in this process.

    Raises:
        UserError: a process was killed.
    """
    if processes == 1:
        for chunk in chunks:
            yield chunk.number, write_chunk(chunk)
        return
    # spawned, not forked: a fork of a process with threads (torch's, a progress bar's) may hang
    context = multiprocessing.get_context("spawn")
    try:
        pool = ProcessPoolExecutor(processes, context, end_with_parent)
    except OSError as error:  # they talk through /dev/shm, which may be full, or not there
        raise UserError(
            f"machine.threads: {processes}: no decoding process can be started "
            f"({error.strerror or error}); use 1"
        ) from error
    running: dict[Future[Faults], int] = {}
    others = {*multiprocessing.active_children()}

    def give_out(count: int) -> None:
        with deaf_children():  # a process starts when there is work for it
            for chunk in islice(chunks, count):
                running[pool.submit(write_chunk, chunk)] = chunk.number

    try:
        give_out(AHEAD * processes)
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()
                give_out(1)
    except BrokenProcessPool as error:
        raise UserError(
            f"machine.threads: {processes}: a decoding process was killed, for want of memory "
            "perhaps; use fewer and run again, which goes on where this stopped"
        ) from error
    finally:
        # What is not finished is written again. A process that still starts, for work that another
        # has done, must not outlive this one, whose locks it would miss.
        with held():
            for process in {*multiprocessing.active_children()} - others:
                process.kill()
            pool.shutdown(cancel_futures=True)
