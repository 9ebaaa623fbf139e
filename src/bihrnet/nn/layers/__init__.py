"""Layers that network families share: binarizers, binary units, residual blocks, upsampling."""
