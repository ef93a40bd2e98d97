"""Ports on loopback for the HTTP fronts of modules: the one that createOptions publish where it is free, else any."""

import socket
from typing import ClassVar

from simulator.edge_agent.container_shape import host_port
from simulator.edge_agent.deployment import WantedModule
from simulator.edge_agent.module_log import ModuleLog


class HttpPorts:
    """Keeps a module's port over its restarts, as long as it is free then."""

    def __init__(self) -> None:
        self._ports: dict[str, int] = {}

    taken: ClassVar[set[int]] = set()
    """Ports that were given to modules of any device, which may not listen there yet."""

    def choose(self, module: WantedModule, log: ModuleLog) -> int:
        """A port that nothing listens on now; the log says where it is when it is not the one asked for."""
        wanted = host_port(module.create_options)
        for port in (self._ports.get(module.name), wanted):
            is_own = port is not None and port == self._ports.get(module.name)
            if port is not None and (is_own or port not in self.taken) and _is_free(port):
                return self._give(module.name, port)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = self._give(module.name, int(listener.getsockname()[1]))
        why = "createOptions publish no port" if wanted is None else f"port {wanted} of createOptions is in use"
        log.say(f"HTTP is at http://127.0.0.1:{port} ({why})")
        return port

    def forget(self, name: str) -> None:
        """The module is gone."""
        self.taken.discard(self._ports.pop(name, 0))

    def _give(self, name: str, port: int) -> int:
        self.forget(name)
        self._ports[name] = port
        self.taken.add(port)
        return port


def _is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False
