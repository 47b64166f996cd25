"""One model through intarsia: python with_intarsia.py model.onnx inputs.npy result_folder SCHEDULE.

`convert_s` is all that `intarsia compile` does, the search for schedules and the count of their cycles included; the images
that are measured are also the calibration samples.
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

import intarsia
from intarsia.simulation.build import build
from intarsia.verify.csim_runner import CsimRunner

model_path, inputs_path, folder, schedule = sys.argv[1:5]
figures: dict[str, float] = {}


def record(**found: float) -> None:
    """Writes a figure at once, so that it is known even if the next step ends the process."""
    peaks = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    figures.update(found, peak_mb=max(peaks) // 1024)
    (Path(folder) / "figures.json").write_text(json.dumps(figures))


start = time.perf_counter()
design = intarsia.compile(model_path, calibration=inputs_path, schedule=schedule)
project = design.write(Path(folder) / "project")
record(convert_s=time.perf_counter() - start)
start = time.perf_counter()
build(project)
record(build_s=time.perf_counter() - start)
images = np.load(inputs_path)
(name,), (output,) = design.graph.inputs, design.graph.outputs
raw = {name: design.graph.tensors[name].number.quantise(images)}
runner = CsimRunner.of_project(project)
runner.outputs({name: raw[name][:1]})
start = time.perf_counter()
found = runner.outputs(raw)[output]
record(ms_per_image=(time.perf_counter() - start) * 1000 / len(images))
np.save(Path(folder) / "outputs.npy", design.graph.tensors[output].number.dequantise(found))
