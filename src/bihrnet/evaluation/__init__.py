"""OKS AP, PCKh and PCK: from poses and their truth to the numbers of the papers."""
