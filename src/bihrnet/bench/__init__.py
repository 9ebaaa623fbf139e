"""Networks and runtimes side by side: the time of one image, measured in alternation."""
