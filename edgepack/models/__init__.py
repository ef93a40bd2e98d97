"""The registry of models: versions under a name, kept on disk, each file stored once by its SHA-256.

`naming` and `record` are values and their rules, `source` finds the files of a new version, `staging` copies
and hashes them in one pass, `registry` is the place on disk, `transfer` reads stored files back.
"""
