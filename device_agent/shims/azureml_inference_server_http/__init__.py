"""Stand-in for the package of Azure ML's inference server: the parts of it that scripts and their files name."""
