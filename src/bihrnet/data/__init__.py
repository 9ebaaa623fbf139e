"""Datasets in their official layouts, `synthetic`, and the top-down samples made of them."""
