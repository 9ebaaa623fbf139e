"""Optional libraries: what needs them, and which extra of the package installs them."""

from __future__ import annotations

#: Library -> (what needs it, the extra).
OPTIONAL = {
    "onnxruntime": ("person detectors in ONNX files", "detector"),
    "torch": ("checkpoints and training", "train"),
    "lightning": ("training", "train"),
    "scipy": ("the data sets LSP, LSPET and MPII in their .mat files", "train"),
    "faster-coco-eval": ("COCO and CrowdPose metrics", "train"),
    "matplotlib": ("learning curves", "train"),
    "tensorboard": ("TensorBoard logs", "tensorboard"),
    "onnx": ("export to ONNX", "onnx"),
    "openvino": ("benchmarks against OpenVINO", "bench"),
}


def remedy(library: str) -> str:
    """The command that installs an optional library."""
    return f"pip install 'bihrnet[{OPTIONAL[library][1]}]'"


def missing_library(error: ModuleNotFoundError) -> str | None:
    """The message about a missing optional library; None for any other module."""
    library = (error.name or "").replace("_", "-")
    if library not in OPTIONAL:
        return None
    return f"this needs {library}, which is missing: {remedy(library)}"
