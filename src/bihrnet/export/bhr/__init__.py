"""From a traced network to a `.bhr` model.

`export.to_bhr` runs the steps in this order:

1. `bihrnet.export.trace`: torch module -> layers (`bihrnet.export.ir`).
2. `calibration` (int8 only): layers and crops (`crops`) -> 8-bit ranges of activations.
3. `channel_shortcuts`, with `channel_order`: layers -> layers and the order in which the channels
   of each one's output are stored.
4. `fusion`: ordered layers -> ops and steps. The arithmetic (thresholds, packed and quantized
   weights) is in `folding`; ops under construction belong to `builder`, which finally orders them
   into a `bihrnet.engine.graph.Graph` with named constants.
5. `golden`: the finished model -> the model with statistics of heatmaps that it must reproduce.
"""
