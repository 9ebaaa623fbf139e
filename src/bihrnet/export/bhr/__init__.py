"""From a traced network to a `.bhr` model: fusion, folding, calibration, channel order."""
