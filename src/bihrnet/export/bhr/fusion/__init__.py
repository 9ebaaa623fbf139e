"""From ordered layers to the engine's ops and steps, one file per kind of layer.

`fuse.fuse` takes the layers in order and asks the function for each kind of layer: those of
`convolutions`, `pointwise` and `joins`, which share the `state`.
"""
