"""Whether the data that a model is given now is still what it was made for: tables, statistics, report."""
