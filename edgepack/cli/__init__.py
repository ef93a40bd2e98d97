"""The command line: one file a command group, each turning arguments into one call and printing its result."""
