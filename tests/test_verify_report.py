"""The forms of a report, and what verification leaves behind."""

from __future__ import annotations

import json
import struct
import xml.etree.ElementTree as Xml
import zlib
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from fake_worlds import FaultyRunner, batches, network, one_weight, sound_worlds, with_parameter, wrapped
from rich.console import Console

from intarsia.verify import assert_agrees, check, reproduction
from intarsia.verify.png import encode
from intarsia.verify.report import Report

GRAPH = network()


@pytest.fixture(scope="module")
def passed() -> Report:
    return check(GRAPH, sound_worlds(GRAPH), batches(GRAPH), notes=["weights.bin was changed"])


@pytest.fixture(scope="module")
def failed() -> Report:
    def hide(trace: dict) -> dict:
        return {name: values for name, values in trace.items() if name != "pool1_out"}

    worlds = replace(
        sound_worlds(GRAPH),
        csim=FaultyRunner(with_parameter(GRAPH, "conv2", "weight", one_weight), taps=hide),
        board=FaultyRunner(with_parameter(GRAPH, "conv2", "weight", one_weight), "emulated", {"fc": wrapped}),
        emulated=True,
    )
    return check(GRAPH, worlds, batches(GRAPH))


def text(report: Report, width: int = 120) -> str:
    stream = StringIO()
    report.print(Console(file=stream, width=width))
    return stream.getvalue()


def test_json_keys_are_stable(failed: Report) -> None:
    result = json.loads(json.dumps(failed.to_json(), allow_nan=False))
    assert {"passed", "first_divergence", "samples", "layers", "accuracy"} <= result.keys()
    assert result["passed"] is False and result["samples"] == 24
    layer = result["layers"][3]
    assert {"name", "op", "shape", "sqnr_db", "cosine", "saturated", "edges"} <= layer.keys()
    assert layer["name"] == "conv2" and layer["shape"] == [1, 4, 4, 4]
    assert list(layer["edges"]) == ["quantisation", "lowering", "mapping", "deployment"]
    assert {"verdict", "mismatches", "elements", "max_lsb"} <= layer["edges"]["mapping"].keys()
    assert layer["edges"]["mapping"]["verdict"] == "fail"
    assert result["layers"][2]["edges"]["mapping"]["verdict"] == "not observed"
    assert result["layers"][2]["edges"]["mapping"]["mismatches"] is None
    assert result["first_divergence"]["layer"] == "conv2" and result["first_divergence"]["edge"] == "mapping"
    assert set(result["accuracy"]) >= {"float", "quantised", "accelerator"}


def test_json_without_labels_has_no_accuracy() -> None:
    report = check(GRAPH, sound_worlds(GRAPH), [replace(batch, labels=None) for batch in batches(GRAPH)])
    assert "accuracy" not in report.to_json()


def test_table_has_a_row_per_layer_and_ends_with_the_verdict(passed: Report, failed: Report) -> None:
    lines = text(passed).rstrip().splitlines()
    assert [line.split()[1] for line in lines[1:7]] == ["image", "conv1", "pool1", "conv2", "conv3", "fc"]
    assert lines[-1].startswith("PASSED") and "emulated board" in lines[-1]
    assert "Note: weights.bin was changed" in lines
    assert (
        text(failed)
        .rstrip()
        .splitlines()[-1]
        .startswith("FIRST DIVERGENCE: conv2 or untapped pool1 (mapping)")
    )


def test_an_emulated_board_is_called_so_everywhere(passed: Report, failed: Report) -> None:
    for report in (passed, failed):
        assert "emulated board" in text(report)
        assert "emulated board" in report.to_html()
        assert "emulated board" in report.to_junit()
        assert report.to_json()["worlds"]["board"] == "emulated board"


def test_html_is_self_contained(passed: Report, failed: Report) -> None:
    for report in (passed, failed):
        page = report.to_html()
        assert "data:image/png;base64," in page and "<svg" in page and "prefers-color-scheme: dark" in page
        assert "http" not in page and "<script" not in page and "<link" not in page
    assert "FIRST DIVERGENCE" in failed.to_html() and "not observed" in failed.to_html()


def test_html_escapes_names() -> None:
    graph = replace(GRAPH, name="<b>&")
    page = check(graph, sound_worlds(graph), batches(graph, 4, 4)).to_html()
    assert "<b>&" not in page.replace("&amp;", "") and "&lt;b&gt;&amp;" in page


def test_junit_has_a_case_per_layer_and_edge(passed: Report, failed: Report) -> None:
    root = Xml.fromstring(passed.to_junit())
    assert len(root.findall("testsuite")) == 4 and len(root.findall(".//testcase")) == 24
    assert not root.findall(".//failure")
    root = Xml.fromstring(failed.to_junit())
    mapping = root.findall("testsuite")[2]
    assert [case.get("name") for case in mapping if case.find("failure") is not None] == [
        "conv2",
        "conv3",
        "fc",
    ]
    assert [case.get("name") for case in mapping if case.find("skipped") is not None] == ["pool1"]
    assert mapping.get("failures") == "3" and mapping.get("skipped") == "1"


def test_assert_agrees(passed: Report, failed: Report) -> None:
    assert_agrees(passed)
    with pytest.raises(AssertionError, match=r"FIRST DIVERGENCE: conv2 .*\(mapping\)"):
        assert_agrees(failed)


def test_reproduction(failed: Report, tmp_path: Path) -> None:
    divergence = failed.first_divergence
    assert divergence is not None and failed.evidence is not None and divergence.index is not None
    reproduction.write(tmp_path / "reproduction", tmp_path, GRAPH, divergence, failed.evidence)
    files = {path.name for path in (tmp_path / "reproduction").iterdir()}
    assert files == {"inputs.npz", "expected.npz", "got.npz", "isolated.npz", "command.txt"}
    with np.load(tmp_path / "reproduction" / "got.npz") as got:
        assert got["conv2_out"][divergence.index] == divergence.got
    with np.load(tmp_path / "reproduction" / "expected.npz") as expected:
        assert expected["conv2_out"][divergence.index] == divergence.expected
    with np.load(tmp_path / "reproduction" / "inputs.npz") as inputs:
        raw = GRAPH.tensors["image"].number.quantise(inputs["in:image"])
    assert np.array_equal(raw, failed.evidence.inputs["image"])
    assert "intarsia verify" in (tmp_path / "reproduction" / "command.txt").read_text()


def test_png_round_trip() -> None:
    pixels = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    data = encode(pixels)
    chunks, position = {}, 8
    while position < len(data):
        (length,), kind = (
            struct.unpack(">I", data[position : position + 4]),
            data[position + 4 : position + 8],
        )
        body = data[position + 8 : position + 8 + length]
        assert struct.unpack(">I", data[position + 8 + length : position + 12 + length])[0] == zlib.crc32(
            kind + body
        )
        chunks[kind], position = body, position + 12 + length
    assert struct.unpack(">II", chunks[b"IHDR"][:8]) == (7, 5)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(5, 22)
    assert not rows[:, 0].any() and np.array_equal(rows[:, 1:].reshape(5, 7, 3), pixels)
