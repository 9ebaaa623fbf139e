"""A model over a data set, and the metrics of its predictions: OKS AP, PCKh and PCK."""
