"""edgepack: from a registered model and an Azure ML entry script to an IoT Edge module.

The packager. It runs on a laptop or in CI; what runs on the device is the package `device_agent`.
See ARCHITECTURE.md for the parts and who may import whom.
"""

__version__ = "0.1.0"

PROJECT_FILE = "edgepack.yaml"
