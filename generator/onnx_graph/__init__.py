"""What is done to an ONNX graph before its nodes become tasks."""
