"""A few of ONNX's own node tests, and one that must be refused; tests/benchmarks/onnx_conformance.py runs all."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from onnx_cases import OPERANDS, node_cases, run

PASSED = (
    "test_add_uint8",
    "test_attention_4d_with_qk_matmul_softmax",
    "test_conv_with_strides_and_asymmetric_padding",
    "test_gemm_transposeA",
    "test_layer_normalization_4d_axis2",
    "test_maxpool_2d_ceil",
    "test_mul_bcast",
    "test_slice",
    "test_softmax_axis_0",
    "test_spacetodepth_crd_mode_example",
    "test_tanh",
    "test_tril",
    "test_where_long_example",
)


@pytest.fixture(scope="module")
def cases() -> dict:
    return {case.name: case for case in node_cases()}


@pytest.mark.parametrize("name", PASSED)
def test_cases_pass(cases: dict, name: str) -> None:
    outcome = run(cases[name])
    assert outcome.result == "passed", outcome.reason


def test_a_case_without_hardware_is_refused(cases: dict) -> None:
    outcome = run(cases["test_convtranspose_3d"])
    assert outcome.result == "refused"
    assert "ConvTranspose node" in outcome.reason


def test_a_wrong_expectation_fails(cases: dict) -> None:
    case = cases["test_tanh"]
    inputs, (expected,) = case.data_sets[0]
    wrong = dataclasses.replace(case, data_sets=[(inputs, [expected * np.float32(1.01)])])
    assert run(wrong).result == "failed"


def test_all_operators_have_cases(cases: dict) -> None:
    found = {case.model.graph.node[0].op_type for case in cases.values()}
    assert set(OPERANDS) - found <= {"Upsample"}
    assert len(cases) > 500
