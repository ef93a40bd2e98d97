"""Stand-in for the package above `azureml.ai.monitoring`; holds nothing itself."""
