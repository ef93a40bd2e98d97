"""The process that runs on the device: loads an entry script, calls `init()` once and `run(data)` per request.

Imports nothing of `edgepack`; its own dependencies are in requirements.txt beside this file.
"""

__version__ = "0.1.0"
