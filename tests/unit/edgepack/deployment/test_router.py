"""Several routes together: one copy for an endpoint, by priority; the body is read once at most."""

from collections.abc import Mapping

import pytest

from edgepack.deployment.route_message import RoutedMessage, Scope
from edgepack.deployment.route_tree import ModuleInput, RouteError, Upstream
from edgepack.deployment.router import DEFAULT_PRIORITY, Destination, Router, RouteSpec

UP, INPUT = Upstream(), ModuleInput("m", "in")
MODULE = 'BrokeredEndpoint("/modules/m/inputs/in")'
JSON_SYSTEM = {"contentType": "application/json", "contentEncoding": "utf-8"}


def message(source: str = "/messages", properties: Mapping[str, str] | None = None) -> RoutedMessage:
    return RoutedMessage(source, properties or {}, JSON_SYSTEM, b'{"n": 1}')


def test_one_copy_for_an_endpoint_by_the_route_with_the_lowest_number() -> None:
    router = Router.compile(
        {
            "late": RouteSpec("FROM /* INTO $upstream"),
            "second": RouteSpec("FROM /* INTO $UPSTREAM", 5, 60),
            "first": RouteSpec("FROM /* WHERE hot = 'yes' INTO $upstream", 0, 7),
            "module": RouteSpec(f"FROM /* INTO {MODULE}"),
            "module too": RouteSpec("FROM /* INTO brokeredEndpoint('modules/m/inputs/in/')"),
        }
    )
    module = Destination(INPUT, DEFAULT_PRIORITY, 0, "module")
    assert router.destinations(message()) == (Destination(UP, 5, 60, "second"), module)
    assert router.destinations(message(properties={"hot": "yes"})) == (Destination(UP, 0, 7, "first"), module)
    assert set(router.routes) == {"late", "second", "first", "module", "module too"}


def test_the_source_decides_first() -> None:
    router = Router.compile(
        {
            "leaf": RouteSpec(f"FROM /messages WHERE NOT is_defined($connectionModuleId) INTO {MODULE}"),
            "results": RouteSpec("FROM /messages/modules/m/outputs/* INTO $upstream"),
        }
    )
    assert [each.route for each in router.destinations(message())] == ["leaf"]
    told = message("/messages/modules/M/outputs/o")._replace(system={"connectionModuleId": "m"})
    assert [each.route for each in router.destinations(told)] == ["results"]
    assert router.destinations(message("/twinChangeNotifications")) == ()
    for number in range(3000):  # more sources than are remembered
        assert router.destinations(message(f"/messages/modules/x{number}"))
    assert [each.route for each in router.destinations(message())] == ["leaf"]


def test_no_routes_lead_nowhere() -> None:
    assert Router.compile({}).destinations(message()) == ()


def test_the_problems_of_all_routes_have_their_names() -> None:
    with pytest.raises(RouteError) as caught:
        Router.compile(
            {
                "b": RouteSpec("FROM /* WHERE a > 3 INTO $upstream"),
                "a": RouteSpec("FROM /* INTO nowhere"),
                "c": RouteSpec("FROM /* INTO $upstream"),
            }
        )
    assert [(problem.route, problem.column, problem.stage) for problem in caught.value.problems] == [
        ("a", 14, "syntax"),
        ("b", 17, "types"),
    ]
    assert str(caught.value).startswith("route a: column 14: expected ")


def test_the_body_is_read_once_and_only_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = Scope._read

    def counted(scope: Scope) -> tuple[object, str]:
        read.append("read")
        return original(scope)

    monkeypatch.setattr(Scope, "_read", counted)
    plain = Router.compile({"a": RouteSpec("FROM /* WHERE a = 'x' INTO $upstream")})
    plain.destinations(message())
    assert read == []
    router = Router.compile(
        {str(number): RouteSpec(f"FROM /* WHERE $body.n = {number} INTO $upstream") for number in range(5)}
    )
    assert len(router.destinations(message())) == 1
    assert read == ["read"]
