"""Base file systems: where the lowest layer of an image comes from."""
