"""All routes of an edgeHub together: which endpoints a message goes to.

Pure. Every endpoint that some route leads to gets the message once; if several routes lead there, the lowest priority
number wins (of equal ones, the first), and with it its time to live.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from edgepack.deployment.route_check import check_route
from edgepack.deployment.route_compiler import compile_condition
from edgepack.deployment.route_message import RoutedMessage, Scope
from edgepack.deployment.route_tree import Route, RouteError, RouteProblem, Sink, source_key

DEFAULT_PRIORITY = 2_000_000_000
_SOURCES_REMEMBERED = 1000


class RouteSpec(NamedTuple):
    """A route as a deployment gives it. Priority 0 is the first; time to live 0: the general one of edgeHub."""

    text: str
    priority: int = DEFAULT_PRIORITY
    time_to_live_s: int = 0


class Destination(NamedTuple):
    """Where a message goes, with the priority and time to live of the route that won; `route` is its name."""

    sink: Sink
    priority: int
    time_to_live_s: int
    route: str


class _Entry(NamedTuple):
    prefix: str
    takes: Callable[[Scope], bool]
    destination: Destination


class Router:
    """A set of routes, compiled. It does not change; a new deployment is a new router."""

    def __init__(self, routes: Mapping[str, Route], entries: tuple[_Entry, ...]) -> None:
        self.routes = routes
        self._entries = entries
        self._by_source: dict[str, tuple[_Entry, ...]] = {}

    @classmethod
    def compile(cls, specs: Mapping[str, RouteSpec]) -> "Router":
        """Read and compile all routes.

        Raises:
            RouteError: the problems of all routes, each with the route's name. edgeHub keeps its old routes then.
        """
        routes: dict[str, Route] = {}
        entries, problems = [], list[RouteProblem]()
        for name, spec in specs.items():
            check = check_route(spec.text)
            problems += (problem._replace(route=name) for problem in check.problems)
            if problems or check.route is None:
                continue
            route = routes[name] = check.route
            takes = compile_condition(route)
            destination = Destination(route.sink, spec.priority, spec.time_to_live_s, name)
            entries.append(_Entry(route.source_prefix, takes, destination))
        if problems:
            raise RouteError(problems)
        return cls(routes, tuple(sorted(entries, key=lambda entry: entry.destination.priority)))

    def destinations(self, message: RoutedMessage) -> tuple[Destination, ...]:
        """Where a message goes, by priority; nowhere: it is dropped."""
        entries = self._by_source.get(message.source)
        if entries is None:
            entries = self._from(message.source)
        if not entries:
            return ()
        scope = Scope(message)
        found: dict[Sink, Destination] = {}
        for _, takes, destination in entries:
            if destination.sink not in found and takes(scope):
                found[destination.sink] = destination
        return tuple(found.values())

    def _from(self, source: str) -> tuple[_Entry, ...]:
        key = source_key(source)
        entries = tuple(entry for entry in self._entries if key.startswith(entry.prefix))
        if len(self._by_source) >= _SOURCES_REMEMBERED:
            self._by_source.clear()
        self._by_source[source] = entries
        return entries
