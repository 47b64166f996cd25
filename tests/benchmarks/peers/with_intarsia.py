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
PASSES = 5
"""The best of so many passes over the images counts."""


def cpu_seconds() -> float:
    """CPU time of this process and of the compilers that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def record(**found: float) -> None:
    """Writes a figure at once, so that it is known even if the next step ends the process."""
    peaks = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    figures.update(found, peak_mb=max(peaks) // 1024)
    (Path(folder) / "figures.json").write_text(json.dumps(figures))


start = time.perf_counter()
design = intarsia.compile(model_path, calibration=inputs_path, schedule=schedule)
project = design.write(Path(folder) / "project")
record(convert_s=time.perf_counter() - start)
start, used = time.perf_counter(), cpu_seconds()
build(project)
record(build_s=time.perf_counter() - start, build_cpu_s=cpu_seconds() - used)
images = np.load(inputs_path)
(name,), (output,) = design.graph.inputs, design.graph.outputs
raw = {name: design.graph.tensors[name].number.quantise(images)}
runner = CsimRunner.of_project(project)
runner.outputs({name: raw[name][:1]})
wall, cpu = [], []
for _ in range(PASSES):
    start, used = time.perf_counter(), time.process_time()
    found = runner.outputs(raw)[output]
    wall.append((time.perf_counter() - start) * 1000 / len(images))
    cpu.append((time.process_time() - used) * 1000 / len(images))
record(ms_per_image=min(wall), cpu_ms_per_image=min(cpu))
np.save(Path(folder) / "outputs.npy", design.graph.tensors[output].number.dequantise(found))
