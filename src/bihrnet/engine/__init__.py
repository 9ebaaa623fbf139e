"""The 1-bit engine: op graphs, `.bhr` files, models on the C++ engine. Never imports torch."""
