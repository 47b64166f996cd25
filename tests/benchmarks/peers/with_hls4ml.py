"""One model through hls4ml, in its own environment: python with_hls4ml.py model.onnx inputs.npy result_folder STRATEGY.

Streams (io_stream), which build fastest, and 16-bit numbers with 6 integer bits, its default; it takes no plain ONNX, and what
is done for it is in BY_HAND and pool_channels_last().
"""

import json
import resource
import sys
import time
from pathlib import Path

import hls4ml
import numpy as np
import onnx
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean
from qonnx.transformation.gemm_to_matmul import GemmToMatMul
from qonnx.util.cleanup import cleanup_model

model_path, inputs_path, folder, strategy = sys.argv[1:5]
figures: dict[str, float | list[str]] = {}
BY_HAND = ["qonnx: shapes inferred, inputs and layout channels last, Gemm made MatMul"]
POOL_SUM = "fixed<24,14>"
"""Of the sum in a global pool, which would wrap in 16 bits."""
PASSES = 5
"""The best of so many passes over the images counts."""


def cpu_seconds() -> float:
    """CPU time of this process and of the compilers that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def record(**found: float | list[str]) -> None:
    """Writes a figure at once, so that it is known even if the next step ends the process."""
    peaks = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    figures.update(found, peak_mb=max(peaks) // 1024)
    (Path(folder) / "figures.json").write_text(json.dumps(figures))


def pool_channels_last(model: ModelWrapper) -> list[str]:
    """Takes away the transposition to channels first before each global pool; the nodes where there was one.

    hls4ml reads the pool's shape channels first, but pools channels last. A word of the transposed stream has as many
    elements as a row has pixels; where there are more channels, the number of pixels in a word, elements / channels, is 0. The pool
    divides by it, of which g++ makes an illegal instruction. The pool's input keeps its name, and so its shape channels first.
    """
    mended = []
    for pool in [node for node in model.graph.node if node.op_type == "GlobalAveragePool"]:
        transpose = model.find_producer(pool.input[0])
        if transpose.op_type == "Transpose":
            model.find_producer(transpose.input[0]).output[0] = transpose.output[0]
            model.graph.node.remove(transpose)
            mended.append(pool.name)
    return mended


start = time.perf_counter()
model = cleanup_model(ModelWrapper(onnx.load(model_path)))
model = model.transform(ConvertToChannelsLastAndClean(make_input_channels_last=True))
model = cleanup_model(model.transform(GemmToMatMul()))
pools = pool_channels_last(model)
config = hls4ml.utils.config_from_onnx_model(model, granularity="name", backend="Vitis")
config["Model"]["Strategy"] = strategy
for layer in config["LayerName"].values():
    layer["Strategy"] = strategy
for pool in pools:
    config["LayerName"][pool]["Precision"]["accum"] = POOL_SUM
    BY_HAND.append(f"{pool}: transposition before it taken away, sum made {POOL_SUM}")
project = hls4ml.converters.convert_from_onnx_model(
    model,
    output_dir=str(Path(folder) / "project"),
    io_type="io_stream",
    backend="Vitis",
    hls_config=config,
    part="xck26-sfvc784-2LV-c",
)
project.write()
record(convert_s=time.perf_counter() - start, by_hand=BY_HAND)
start, used = time.perf_counter(), cpu_seconds()
project._compile()  # compile() would write the project once more
record(build_s=time.perf_counter() - start, build_cpu_s=cpu_seconds() - used)
images = np.ascontiguousarray(np.load(inputs_path).transpose(0, 2, 3, 1))
project.predict(images[:1])
wall, cpu = [], []
for _ in range(PASSES):
    start, used = time.perf_counter(), time.process_time()
    outputs = project.predict(images)
    wall.append((time.perf_counter() - start) * 1000 / len(images))
    cpu.append((time.process_time() - used) * 1000 / len(images))
record(ms_per_image=min(wall), cpu_ms_per_image=min(cpu))
np.save(Path(folder) / "outputs.npy", np.asarray(outputs))
