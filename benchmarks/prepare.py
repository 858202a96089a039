"""Images a second of preparing ImageNet, the whole of it from that, and memory.

    python benchmarks/prepare.py --images 512

Images of 500 x 375 lie in ImageNet's archives, made here, and go through all of `nat prepare
images`: index, decoding, writing, MD5 and checksum. One process does it all; then two decode, for
the memory of one. Medians of the runs, by seconds of the CPU, so that other work on the machine
does not count; nor does waiting for the disk.

The hours are extrapolated to 1,281,167 + 50,000 images. With n processes: decoding / n, or the
MD5 of the archives if that takes longer, as one process does it beside; then the store's checksum.
That cores, disk and memory keep up is taken for granted, not measured.
"""

import hashlib
import io
import json
import resource
import statistics
import tarfile
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import click
import numpy as np
from jpegs import jpeg
from ruamel.yaml import YAML

# PyTorch and what needs it are imported where they are used: decoding processes import this file
# again, and are to be measured as `python -m nat` has them.

WHOLE = 1_281_167 + 50_000
ARCHIVES = 147_897_477_120 + 6_744_924_160  # bytes
CLASSES = 4
PROJECT = Path(__file__).parents[1]


def tar_of(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def write_archives(folder: Path, count: int) -> int:
    """Archives of ``count`` training and a few val images; returns the mean bytes of one."""
    from torchvision.datasets.imagenet import ARCHIVE_META

    from nat.datasets import imagenet

    draws = np.random.default_rng(0)
    distinct = [jpeg(draws) for _ in range(min(count, 64))]
    wnids = [f"n{number:08d}" for number in range(CLASSES)]
    train, val = {}, {f"ILSVRC2012_val_{i:08d}.JPEG": distinct[i] for i in range(CLASSES)}
    for label, wnid in enumerate(wnids):
        numbers = range(label, count, CLASSES)
        inside = {f"{wnid}_{n:06d}.JPEG": distinct[n % len(distinct)] for n in numbers}
        train[f"{wnid}.tar"] = tar_of(inside)
    for part, content in (("train", tar_of(train)), ("val", tar_of(val))):
        name = ARCHIVE_META[part][0]
        (folder / name).write_bytes(content)
        # stand in for the published ones, which these archives cannot have
        ARCHIVE_META[part] = (name, hashlib.md5(content).hexdigest())
        imagenet.BYTES[part] = len(content)
    lines = [f"{name} {label}\n" for label, name in enumerate(val)]
    (folder / "val.txt").write_text("".join(lines))
    return sum(map(len, distinct)) // len(distinct)


def seconds(folder: Path, work: Path, channels: int, processes: int) -> tuple[float, float]:
    """Of this process's CPU, and of the clock."""
    from nat.datasets.filling.prepare import prepare_images
    from nat.runtime.settings.params import Params

    content = YAML(typ="safe").load((PROJECT / "params.yaml").read_text())
    content["images"] |= {"source": "imagenet", "folder": str(folder)}
    content["images"] |= {"train": None, "validation": 0, "test": None}
    content["images"] |= {"size": 256, "channels": channels}
    content["machine"] |= {"data": str(work), "scratch": str(work), "threads": processes}
    params = Params.model_validate(content)
    cpu, clock = time.process_time(), time.perf_counter()
    prepare_images(params, work / "manifest.json")
    return time.process_time() - cpu, time.perf_counter() - clock


def digest_seconds(name: str, total: float) -> float:
    """CPU time of a checksum over so many bytes."""
    block = bytes(1 << 24)
    start = time.process_time()
    for _ in range(10):
        hashlib.new(name, block)
    return (time.process_time() - start) * total / (10 * len(block))


def hours(decode: float, md5: float, checksum: float, processes: int) -> float:
    """Of all of ImageNet, from the seconds of its parts."""
    if processes == 1:
        return (decode + md5 + checksum) / 3600
    return (max(decode / processes, md5) + checksum) / 3600


def peak() -> float:
    """Of this process, MB, on Linux."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def watch_children(done: threading.Event, megabytes: dict[str, float]) -> None:
    """Note the peak memory of each process that this one starts, until ``done``.

    The last reading counts: before it runs its own program, a process shows its parent's memory.
    """
    while not done.wait(0.02):
        for task in Path("/proc/self/task").iterdir():
            with suppress(OSError):  # it has ended
                for child in (task / "children").read_text().split():
                    for line in Path("/proc", child, "status").read_text().splitlines():
                        if line.startswith("VmHWM:"):
                            megabytes[child] = int(line.split()[1]) / 1000


def index_megabytes() -> float:
    """What the names and places of all training images take."""
    from nat.datasets.filling.encoded import Encoded

    before = peak()
    names = [f"n{i // 1300:08d}/n{i // 1300:08d}_{i % 1300:05d}.JPEG" for i in range(WHOLE)]
    numbers = np.arange(WHOLE)
    whole = Encoded(Path("x"), names, numbers, numbers.copy(), numbers.copy(), numbers.copy())
    whole.take(numbers[::-1]).digest()
    return peak() - before


@click.command()
@click.option("--images", default=512, show_default=True, help="Training images.")
@click.option("--runs", default=3, show_default=True)
def main(images: int, runs: int) -> None:
    """Print a markdown table."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "in")
        folder.mkdir()
        size = write_archives(folder, images)
        print(f"{images} + {CLASSES} images of 500 x 375, {size / 1000:.0f} kB on average\n")
        print("| | images/s of a core | hours, 1 process | 8 | 32 | by the clock | store, GB |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        for channels, name in ((1, "luma"), (3, "RGB")):
            times = []
            for run in range(runs):
                work = Path(temporary, f"{channels}-{run}")
                work.mkdir()
                times.append(seconds(folder, work, channels, 1))
                stored = json.loads((work / "manifest.json").read_text())["splits"]
                assert sum(split["count"] for split in stored.values()) == images + CLASSES
            total = images + CLASSES
            rate, clock = (total / statistics.median(kind) for kind in zip(*times, strict=True))
            store = WHOLE * channels * 65536
            md5, checksum = digest_seconds("md5", ARCHIVES), digest_seconds("sha256", store)
            decode = WHOLE / rate - md5 - checksum
            told = [f"{hours(decode, md5, checksum, n):.2f}" for n in (1, 8, 32)]
            print(f"| {name} | {rate:.0f} | {' | '.join(told)} | {clock:.0f} | {store / 1e9:.0f} |")
        main_process = peak()
        work = Path(temporary, "two")
        work.mkdir()
        done, children = threading.Event(), dict[str, float]()
        threading.Thread(target=watch_children, args=(done, children), daemon=True).start()
        seconds(folder, work, 3, 2)
        done.set()
    print(f"\nPeak memory: {max(children.values()):.0f} MB for a decoding process (RGB);")
    print(
        f"{main_process:.0f} MB for this one, which holds PyTorch and made the archives in memory;"
    )
    print(f"{index_megabytes():.0f} MB more for the names and places of all of ImageNet.")


if __name__ == "__main__":
    main()
