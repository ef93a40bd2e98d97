"""Stand-in for the top of the Azure ML SDK v1; holds nothing itself."""
