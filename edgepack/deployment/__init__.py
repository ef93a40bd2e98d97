"""Deployment manifests for IoT Edge: written (`manifest`), and checked (`validate` and its rule files)."""
