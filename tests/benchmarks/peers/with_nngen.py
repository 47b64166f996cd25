"""One model through NNgen, in its own environment: python with_nngen.py model.onnx inputs.npy result_folder.

NNgen has no C-simulation: `build_s` is what it takes to write Verilog, and images run in its Python model of the
operators. What is done for it is in BY_HAND.
"""

import json
import resource
import sys
import time
from pathlib import Path

import nngen as ng
import numpy as np
import onnx

model_path, inputs_path, folder = sys.argv[1:4]
figures: dict[str, float | list[str]] = {}
BY_HAND = [
    "8-bit formats chosen, input scale taken from the images, 4 x 4 channels of a convolution in parallel",
    "inputs channels last, outputs scaled back",
]


def cpu_seconds() -> float:
    """CPU time of this process and of the compilers that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def record(**found: float | list[str]) -> None:
    """Writes a figure at once, so that it is known even if the next step ends the process."""
    peaks = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    figures.update(found, peak_mb=max(peaks) // 1024)
    (Path(folder) / "figures.json").write_text(json.dumps(figures))


images = np.load(inputs_path)
start = time.perf_counter()
name = onnx.load(model_path).graph.input[0].name
outputs, placeholders, variables, constants, operators = ng.from_onnx(
    model_path,
    value_dtypes={},
    default_placeholder_dtype=ng.int8,
    default_variable_dtype=ng.int8,
    default_constant_dtype=ng.int8,
    default_operator_dtype=ng.int8,
    default_scale_dtype=ng.int32,
    default_bias_dtype=ng.int32,
    disable_fusion=False,
)
channels_last = images.transpose(0, 2, 3, 1)
scale = 127 / float(np.abs(images).max())
ng.quantize(list(outputs.values()), input_scale_factors={name: scale})
record(convert_s=time.perf_counter() - start, by_hand=BY_HAND)
start, used = time.perf_counter(), cpu_seconds()
for operator in operators.values():
    if isinstance(operator, ng.conv2d):
        operator.attribute(par_ich=4, par_och=4)
ng.to_verilog(list(outputs.values()), "design", silent=True, config={"maxi_datawidth": 32})
record(build_s=time.perf_counter() - start, build_cpu_s=cpu_seconds() - used)
start, used = time.perf_counter(), time.process_time()
(result,) = outputs.values()
found = []
for image in channels_last:
    raw = np.clip(np.rint(image[np.newaxis] * scale), -127, 127).astype(np.int64)
    (values,) = ng.eval([result], **{name: raw})
    found.append(np.asarray(values, dtype=np.float64).reshape(-1) / result.scale_factor)
used = time.process_time() - used
record(
    ms_per_image=(time.perf_counter() - start) * 1000 / len(images),
    cpu_ms_per_image=used * 1000 / len(images),
)
np.save(Path(folder) / "outputs.npy", np.stack(found))
