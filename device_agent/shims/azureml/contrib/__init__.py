"""Stand-in for `azureml.contrib`; holds nothing itself."""
