"""Networks in torch: binarisers, binary units, one file per network family, a registry."""
