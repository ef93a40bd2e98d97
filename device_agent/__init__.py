"""The process that runs on the device: loads an entry script, calls `init()` once and `run(data)` per
request.

Imports nothing of `edgepack`; its own dependencies are in requirements.txt beside this file. An entry script
may import one name from here: `BadInput`, to be raised by `run()` when the caller's data, not the script, is
at fault.
"""

from device_agent.errors import BadInput

__all__ = ["BadInput", "__version__"]

__version__ = "0.1.0"
