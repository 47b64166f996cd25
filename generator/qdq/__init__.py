"""The quantised graph as a standard ONNX model."""
