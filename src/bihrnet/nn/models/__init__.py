"""Network families, one file each; importing one registers its architectures."""
