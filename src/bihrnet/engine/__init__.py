"""The 1-bit engine: op graphs, `.bhr` files, sessions. Never imports torch."""
