"""Layers that several networks share, one concept per file.

Binarizers are in `binarize`, the binary convolution in `binary_conv`, the Binary Unit in
`binary_unit`, fixed ternary filters in `ternary`.
"""
