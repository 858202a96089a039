"""A trunk for ONNX runtimes: one file that takes raw pixel values, front end included."""

import json
from pathlib import Path

import torch

from nat.api.export import describe, plain_modules
from nat.network.model import load_network
from nat.runtime.errors import UserError
from nat.runtime.io.files import atomic_write, check_output
from nat.runtime.io.outputs import beginning

OPSET, IR = 18, 10  # ONNX 1.13's operators; the file's own version, that of ONNX 1.16
PRODUCER = "nat export"
# how protobuf writes the first two fields: the version, then the producer's name
ONNX = beginning(
    "a trunk that `nat export --format onnx` wrote",
    bytes([8, IR, 18, len(PRODUCER)]) + PRODUCER.encode(),
)


def export_onnx(network_file: Path, out: Path, keep_batch_norm: bool = False) -> None:
    """Write a network's trunk as ONNX, whole.

    ``images``, float32 (batch, channels, crop, crop) of values 0 to 255, to ``features``, float32
    (batch, width, h', w'), for any size of batch. The metadata ``trunk`` is that of other exports.

    Args:
        network_file: network.safetensors of any method.
        out: the file.
        keep_batch_norm: leave batch norm as layers of their own instead of folding it.

    Raises:
        UserError: the network is missing or damaged, a package is missing, ``out`` cannot be
            written.
    """
    check_output(out, ONNX)
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"{out}: needs the packages onnx and onnxscript; install them with "
            "`pip install -e '.[onnx]'`, or use another --format"
        ) from error
    network = load_network(network_file).eval()
    modules = plain_modules(network.trunk, keep_batch_norm)
    # two images: of one, the exporter would take the size of the batch for a constant
    images = torch.zeros(2, network.trunk.channels, network.input_size, network.input_size)
    program = torch.onnx.export(
        modules,
        (images,),
        dynamo=True,  # the other exporter is deprecated
        input_names=["images"],
        output_names=["features"],
        opset_version=OPSET,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )
    assert program is not None
    model = program.model_proto
    model.ir_version, model.producer_name = IR, PRODUCER
    model.graph.name = "trunk"
    # where in which file each operation was written, on this machine
    for part in (*model.graph.node, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    del model.graph.metadata_props[:], model.graph.value_info[:], model.metadata_props[:]
    about = describe(network, network_file, "onnx")
    about["batch_norm"] = "kept" if keep_batch_norm else "folded"
    entry = model.metadata_props.add()
    entry.key, entry.value = "trunk", json.dumps(about)
    with atomic_write(out, ONNX) as temporary:
        temporary.write_bytes(model.SerializeToString(deterministic=True))
