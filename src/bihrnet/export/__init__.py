"""From torch modules to files that run without torch: `.bhr` for the engine, ONNX for others."""
