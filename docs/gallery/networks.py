"""Every convolution of trained networks, on a page of text and a voice: the same as ONNX Runtime's.

`python docs/gallery/networks.py` takes the text detector and recogniser of RapidOCR, the pitch
tracker Basic Pitch and the voice detector Silero VAD, runs them in ONNX Runtime, gives each of
their layers to convkit with the input it met there, and draws the summed times. Needs

    pip install onnx onnxruntime scikit-image matplotlib
    pip install --no-deps rapidocr-onnxruntime basic-pitch silero-vad
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import distribution

import matplotlib.pyplot as plt
import numpy as np
import onnx
import onnxruntime
from drawing import options, save
from onnx import helper, numpy_helper
from reverb import speech
from skimage import data
from skimage.transform import resize

import convkit as ck

RAPIDOCR = "rapidocr_onnxruntime/models/ch_PP-OCRv4"


@dataclass
class Network:
    """A trained network, where it is installed, and what it is shown."""

    name: str
    wheel: str
    file: str
    feed: dict[str, np.ndarray]


@dataclass
class Layer:
    """A layer as the network has it: its node, constant inputs, and what goes in and out."""

    node: onnx.NodeProto
    x: np.ndarray
    w: np.ndarray
    bias: np.ndarray | None
    y: np.ndarray


def networks() -> list[Network]:
    """Return the networks with a page of text and a voice."""
    page = np.repeat(data.page()[np.newaxis, np.newaxis].astype("f4") / 127.5 - 1, 3, axis=1)
    large = resize(page, (1, 3, 384, 768)).astype("f4")
    lines = np.concatenate([large[:, :, top : top + 48, :480] for top in range(0, 384, 64)])
    voice = speech(2.0)[::3].astype("f4")  # 16 kHz
    return [
        Network(
            "text detector", "rapidocr-onnxruntime", f"{RAPIDOCR}_det_infer.onnx", {"x": large}
        ),
        Network(
            "text recogniser", "rapidocr-onnxruntime", f"{RAPIDOCR}_rec_infer.onnx", {"x": lines}
        ),
        Network(
            "pitch tracker",
            "basic-pitch",
            "basic_pitch/saved_models/icassp_2022/nmp.onnx",
            {"serving_default_input_2:0": np.resize(voice, (1, 43844, 1))},
        ),
        Network(
            "voice detector",
            "silero-vad",
            "silero_vad/data/silero_vad_16k_op15.onnx",
            {
                "input": voice[np.newaxis, :576],
                "state": np.zeros((2, 1, 128), "f4"),
                "sr": np.array(16000),
            },
        ),
    ]


def layers(network: Network) -> Iterator[Layer]:
    """Run a network in ONNX Runtime, and return every Conv and ConvTranspose of it."""
    model = onnx.load(distribution(network.wheel).locate_file(network.file))
    graph = model.graph
    nodes = [node for node in graph.node if node.op_type in ("Conv", "ConvTranspose")]
    wanted = dict.fromkeys(name for node in nodes for name in (*node.input, node.output[0]) if name)
    known = {value.name for value in graph.output}
    graph.output.extend(helper.make_empty_tensor_value_info(n) for n in wanted if n not in known)
    session = onnxruntime.InferenceSession(model.SerializeToString(), as_is())
    values = dict(zip(wanted, session.run(list(wanted), network.feed), strict=True))
    for node in nodes:
        x, w, *bias = (values[name] for name in node.input if name)
        yield Layer(node, x, w, bias[0] if bias else None, values[node.output[0]])


def as_is() -> onnxruntime.SessionOptions:
    """Return options under which a network keeps all its layers, and runs in as many threads."""
    chosen = onnxruntime.SessionOptions()
    chosen.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    chosen.intra_op_num_threads = ck.get_num_threads()
    return chosen


def plan_of(layer: Layer) -> ck.Plan:
    """Translate the attributes of a layer; ONNX's pads are all befores, then all afters."""
    given = {a.name: helper.get_attribute_value(a) for a in layer.node.attribute}
    rank = layer.w.ndim - 2
    pads = given.get("pads", [0] * 2 * rank)
    kind = {b"SAME_UPPER": "same", b"VALID": "valid"}.get(given.get("auto_pad"))
    keywords = {
        "stride": given.get("strides", 1),
        "padding": kind or list(zip(pads[:rank], pads[rank:], strict=True)),
        "dilation": given.get("dilations", 1),
        "groups": given.get("group", 1),
    }
    name = f"conv{rank}d"
    if layer.node.op_type == "ConvTranspose":
        name = f"conv_transpose{rank}d"
        keywords["output_padding"] = given.get("output_padding", 0)
    make = getattr(ck, f"plan_{name}")
    return make(layer.x.shape, layer.w, layer.bias, dtype=layer.x.dtype, **keywords)


def session_of(layer: Layer) -> Callable[[], object]:
    """Return a run of the layer alone in ONNX Runtime, its weights packed."""
    names = [name for name in layer.node.input if name]
    x_info = helper.make_tensor_value_info(names[0], onnx.TensorProto.FLOAT, layer.x.shape)
    y_info = helper.make_tensor_value_info(
        layer.node.output[0], onnx.TensorProto.FLOAT, layer.y.shape
    )
    constants = [layer.w] if layer.bias is None else [layer.w, layer.bias]
    weights = [numpy_helper.from_array(*pair) for pair in zip(constants, names[1:], strict=True)]
    graph = helper.make_graph([layer.node], "layer", [x_info], [y_info], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    chosen = onnxruntime.SessionOptions()
    chosen.intra_op_num_threads = ck.get_num_threads()
    session = onnxruntime.InferenceSession(model.SerializeToString(), chosen)
    binding = session.io_binding()
    binding.bind_cpu_input(names[0], layer.x)
    binding.bind_output(layer.node.output[0])
    return lambda: session.run_with_iobinding(binding)


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Return the least time of several runs."""
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def compared(layer: Layer, repeats: int) -> tuple[str, float, float]:
    """Run a layer in both; return the algorithm and the times of convkit and ONNX Runtime."""
    plan = plan_of(layer)
    y = plan(layer.x)
    terms = layer.w[0].size if layer.node.op_type == "Conv" else layer.w[:, 0].size
    scale = np.abs(layer.w).max() * np.abs(layer.x).max() + np.abs(layer.y).max()
    assert y.shape == layer.y.shape
    assert np.abs(y - layer.y).max() <= 4 * np.finfo("f4").eps * np.sqrt(terms) * scale, plan
    ours = seconds(lambda: plan(layer.x, out=y), repeats)
    return plan.algorithm, ours, seconds(session_of(layer), repeats)


def draw(rows: list[tuple[str, float, float]]) -> plt.Figure:
    """Draw the summed times of each network."""
    figure, ax = plt.subplots(figsize=(4.8, 2.4), dpi=160, layout="constrained")
    at = np.arange(len(rows))
    for shift, column, name in ((-0.2, 1, "convkit"), (0.2, 2, "ONNX Runtime")):
        ax.barh(at + shift, [1e3 * row[column] for row in rows], 0.38, label=name)
    ax.set_yticks(at, [row[0] for row in rows])
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.set_xlabel("all convolutions of the network, ms")
    ax.legend(frameon=False)
    return figure


def main() -> None:
    """Run every layer, compare, sum, draw."""
    given = options(__doc__)

    print(f"{ck.get_num_threads()} threads     layers   convkit      ONNX Runtime   ratio")
    rows = []
    for network in networks():
        found = [compared(layer, 3 if given.quick else 20) for layer in layers(network)]
        assert found, network.name
        ours, theirs = (sum(times) for times in zip(*(row[1:] for row in found), strict=True))
        chosen = ", ".join(f"{name} {n}" for name, n in Counter(f[0] for f in found).most_common())
        print(
            f"{network.name:<16}{len(found):>4}  {1e3 * ours:8.2f} ms  {1e3 * theirs:10.2f} ms"
            f"  {theirs / ours:8.2f}   {chosen}"
        )
        rows.append((network.name, ours, theirs))
    save(draw(rows), given.folder / "gallery_networks.png")


if __name__ == "__main__":
    main()
