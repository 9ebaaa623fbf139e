"""Trained networks as files that run without torch: `.bhr` for the engine, ONNX for other runtimes.

1. `trace`: a torch module becomes the layers of `ir`, one list that all exporters share.
2. `bhr`: the layers become the engine's op graph and its constants; or
   `onnx`: the layers become ONNX nodes.
"""
