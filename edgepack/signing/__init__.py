"""Signatures with a key of one's own, in the formats of cosign and in-toto."""
