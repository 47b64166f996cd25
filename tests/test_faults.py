"""A verifier is as good as the faults it catches: known faults in the emitted files, found through the command line.

Each ends with exit code 1 and names the edge and the layer that was hurt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mutations
import pytest
from campaign import EDGES, Campaign
from typer.testing import CliRunner

import intarsia
from intarsia.__main__ import app
from intarsia.boards import environment
from intarsia.samples import load_samples


def verify(
    project: Path, *, board: str = "none", timeout: float | None = None
) -> tuple[int, dict[str, Any], str]:
    """Exit code, content of --json, and what was printed."""
    file = project / "result.json"
    arguments = ["verify", project, "--board", board, "--samples", 4, "--json", file]
    arguments += [] if timeout is None else ["--timeout", timeout]
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return done.exit_code, json.loads(file.read_text()) if file.is_file() else {}, done.output


def assert_found(project: Path, edge: str, layer: str, *, board: str = "none") -> dict[str, Any]:
    code, result, output = verify(project, board=board)
    assert code == 1, output
    first = result["first_divergence"]
    assert (first["edge"], first["layer"]) == (edge, layer), output
    assert f"FIRST DIVERGENCE: {layer} ({edge})" in output
    assert (project / "verify" / "reproduction" / "command.txt").is_file()
    return result


def replace_once(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, f"{path} holds {text.count(old)} times {old!r}"
    path.write_text(text.replace(old, new))


def program_row(project: Path, struct: str, task: str) -> tuple[list[str], list[str], str]:
    """Field names, values and text of a task's row in the program of a process."""
    body = (project / "src" / "program.hpp").read_text().split(f"struct {struct} {{")[1].split("\n};")[0]
    names = next(line for line in body.splitlines() if line.strip().startswith("// ")).strip(" /").split(", ")
    match = re.search(rf"\{{([^{{}}]*)\}},  // phase \d+: {task}\b", body)
    assert match is not None, body
    return names, match[1].split(", "), match[0]


def change_row(project: Path, struct: str, task: str, **changes: int) -> None:
    """Adds to fields of a row of program.hpp."""
    names, values, text = program_row(project, struct, task)
    for name, difference in changes.items():
        place = names.index(name)
        values[place] = str(int(values[place]) + difference)
    replace_once(
        project / "src" / "program.hpp",
        text,
        re.sub(r"\{[^{}]*\}", f"{{{', '.join(values)}}}", text, count=1),
    )


def test_the_unchanged_project_passes(lenet_project: Path) -> None:
    code, result, output = verify(lenet_project)
    assert code == 0, output
    assert result["first_divergence"] is None


@pytest.mark.parametrize(
    ("layer", "word", "lane"), [("conv1", 0, 12), ("conv2", 12, 1), ("fc1", 12, 1), ("fc3", 0, 3)]
)
def test_one_weight(lenet_project: Path, layer: str, word: int, lane: int) -> None:
    """Of an input that some sample excites: no verifier sees a weight that is always multiplied by zero."""
    names, values, _ = program_row(lenet_project, "EngineMac", layer)
    row = dict(zip(names, map(int, values), strict=True))
    assert word < row["words"]
    program = (lenet_project / "src" / "program.hpp").read_text()
    outputs = int(program.split("struct EngineMac {")[1].split("kOutputs = ")[1].split(";")[0])
    lanes = json.loads((lenet_project / "deploy" / "manifest.json").read_text())["inputs"][0]["lanes"]
    file = lenet_project / "weights.bin"
    content = bytearray(file.read_bytes())
    output = 5
    content[((row["weights"] + word) * outputs + output) * lanes + lane] ^= 0x40
    file.write_bytes(content)
    result = assert_found(lenet_project, "mapping", layer)
    assert any("weights.bin was changed after compilation" in note for note in result["notes"])


def test_dropped_bias(lenet_project: Path) -> None:
    replace_once(
        lenet_project / "src" / "intarsia" / "post.hpp",
        "sum[from + p] + bias[to + p]",
        "sum[from + p] + sum_t(0 * bias[to + p])",
    )
    assert_found(lenet_project, "mapping", "conv1")


def test_bias_of_another_layer(lenet_project: Path) -> None:
    change_row(lenet_project, "EnginePost", "fc2", biases=-1)
    assert_found(lenet_project, "mapping", "fc2")


def test_floor_instead_of_round(lenet_project: Path) -> None:
    replace_once(
        lenet_project / "src" / "intarsia" / "requantise.hpp", "Wide(value + half - Wide(1) + odd)", "value"
    )
    result = assert_found(lenet_project, "mapping", "conv1")
    assert result["first_divergence"]["got"] == result["first_divergence"]["expected"] - 1


def test_round_half_up(lenet_project: Path) -> None:
    """Differs from half to even in ties only."""
    replace_once(
        lenet_project / "src" / "intarsia" / "requantise.hpp", "value + half - Wide(1) + odd", "value + half"
    )
    assert_found(lenet_project, "mapping", "conv1")


@pytest.mark.parametrize(
    "changes",
    [
        {"pad_top": 1},
        {"pad_left": 1},
        {"stride_x": 1},
        {"stride_y": 1},
        {"padding": 1},
        {"shift": 1},
        {"low": 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_program_off_by_one(lenet_project: Path, layer: str, changes: dict[str, int]) -> None:
    if changes == {"padding": 1} and layer == "conv2":
        pytest.skip("conv2 has no padding")
    struct = "EnginePost" if changes.keys() & {"shift", "low"} else "EngineWindow"
    change_row(lenet_project, struct, layer, **changes)
    assert_found(lenet_project, "mapping", layer)


def test_too_few_words(lenet_project: Path) -> None:
    """Hardware would hang; the layer is named all the same."""
    change_row(lenet_project, "EngineMac", "fc1", iterations=-1)
    result = assert_found(lenet_project, "mapping", "fc1")
    assert any("hardware would hang" in note for note in result["notes"])


def test_swapped_bytes_in_the_driver(lenet_project: Path) -> None:
    try:
        environment.find()
    except environment.BoardClientError as error:
        pytest.skip(str(error))
    replace_once(
        lenet_project / "deploy" / "intarsia_driver" / "dram_layout.py",
        "    return packed.reshape(-1).view(np.uint8)\n",
        "    return np.ascontiguousarray(packed.reshape(-1).view(np.uint8).reshape(-1, 2)[:, ::-1]).reshape(-1)\n",
    )
    assert_found(lenet_project, "deployment", "conv1", board="emulated")


def test_fault_of_the_program_beside_a_board(lenet_project: Path) -> None:
    """The emulated board cannot run such a program; the C-simulation still tells the layer."""
    try:
        environment.find()
    except environment.BoardClientError as error:
        pytest.skip(str(error))
    change_row(lenet_project, "EngineMac", "fc1", iterations=-1)
    assert_found(lenet_project, "mapping", "fc1", board="emulated")


@pytest.fixture(scope="module")
def campaign(
    lenet_model: Path, lenet_images: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Campaign]:
    design = intarsia.compile(lenet_model, board="kv260", calibration=lenet_images)
    inputs = tuple(design.graph.tensors[name] for name in design.graph.inputs)
    samples = load_samples(lenet_images, inputs)
    campaign = Campaign(design, samples, tmp_path_factory.mktemp("campaign"), board=False)
    yield campaign
    campaign.close()


class TestCampaign:
    """The same faults in every world; tests/benchmarks/faults.py runs all of them on larger models."""

    @pytest.mark.parametrize(("world", "least"), [("float", 20), ("quantised", 30), ("golden", 30)])
    def test_every_fault_of_the_models(self, campaign: Campaign, world: str, least: int) -> None:
        outcomes = list(campaign.run((world,)))
        assert len(outcomes) >= least
        assert [one for one in outcomes if not (one.right_layer and one.right_edge)] == []

    def test_some_faults_of_the_emitted_files(self, campaign: Campaign) -> None:
        kinds = {"one weight", "bias dropped", "stride off by one", "wrap for saturate", "wrong weights file"}
        outcomes = list(campaign.run(("csim",), frozenset(kinds)))
        assert {one.fault for one in outcomes} == kinds
        assert [one for one in outcomes if not (one.right_layer and one.right_edge)] == []

    def test_no_alarm_without_a_fault(self, campaign: Campaign) -> None:
        report = campaign.check(campaign.worlds)
        assert report.passed and not report.divergences

    def test_a_verifier_that_sees_nothing_would_fail(self, campaign: Campaign) -> None:
        """The campaign itself: a fault without effect is none, and a wrong layer is not counted as right."""
        fault = campaign.faults[0]
        assert mutations.faults(fault.graph, campaign.truth)[0].graph is not fault.graph
        outcome = campaign.outcome("none", "csim", fault.layer)
        assert not outcome.caught and not outcome.right_layer and outcome.edge == EDGES["csim"]
