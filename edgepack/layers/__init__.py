"""Layers: what goes into an image, as entries in any order, and the one tar stream that they become."""
