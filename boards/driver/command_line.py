"""The driver from a shell, with integer arrays in .npz files that are keyed by tensor name."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .accelerator import Accelerator
from .arrays import read_arrays, save_arrays
from .errors import AcceleratorError, SelfTestError, reason


def main(arguments: list[str] | None = None) -> int:
    """The command line: 0 if all went well, 1 if the self-test found a wrong result, 2 if the accelerator could not run."""
    parser = argparse.ArgumentParser(description="Run raw integer samples on an intarsia accelerator.")
    parser.add_argument("--bitstream", required=True, type=Path, help=".bit (with its .hwh) or .xclbin file")
    parser.add_argument("--self-test", action="store_true", help="run the golden vectors and compare")
    parser.add_argument("--inputs", type=Path, help=".npz with one array per input tensor")
    parser.add_argument("--outputs", type=Path, help=".npz to write, with one array per tensor")
    parser.add_argument("--taps", action="store_true", help="also write every tensor that can be tapped")
    parser.add_argument(
        "--manifest", type=Path, help="default: manifest.json beside the bitstream or accelerator.py"
    )
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds that one launch may take (10)")
    parser.add_argument(
        "--device", type=int, default=None, help="number of the board, where there are several"
    )
    options = parser.parse_args(arguments)
    if (options.inputs is None) != (options.outputs is None) or not (options.self_test or options.inputs):
        parser.error("give --self-test, or --inputs and --outputs")
    try:
        raw = read_arrays(options.inputs) if options.inputs else {}
        place = (options.bitstream, options.manifest, options.timeout, options.device)
        with Accelerator(*place) as accelerator:
            if options.self_test:
                print(f"self-test passed: {accelerator.self_test()} samples, every integer right")
            if options.inputs:
                results = accelerator.trace(raw) if options.taps else accelerator.run(raw)
                given = {spec["tensor"]: raw[spec["tensor"]] for spec in accelerator.manifest["inputs"]}
                save_arrays(options.outputs, {**given, **results})  # with its inputs, a trace to be verified
    except AcceleratorError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1 if isinstance(error, SelfTestError) else 2
    except Exception as error:  # noqa: BLE001 (a command line says it in one line, whatever it is)
        print(f"error: {reason(error)}", file=sys.stderr)
        return 2
    return 0
