"""The outer shape of routes."""

import pytest

from edgepack.deployment.route_shape import RouteShape, RouteShapeError, can_be_spelled, read_shape


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("FROM /* INTO $upstream", RouteShape(("*",))),
        ("from /messages/* into $UPSTREAM", RouteShape(("messages", "*"))),
        ("SELECT * FROM /messages INTO $upstream and more", RouteShape(("messages",))),
        ("FROM / messages / * INTO $upstream", RouteShape(("messages", "*"))),
        (
            'FROM /messages/modules/a-b/outputs/o INTO BrokeredEndpoint("/modules/c/inputs/d")',
            RouteShape(("messages", "modules", "a-b", "outputs", "o"), "c", "d"),
        ),
        (
            "FROM /* WHERE x = 'INTO $upstream' INTO brokeredendpoint ( 'modules/c/inputs/d/' )",
            RouteShape(("*",), "c", "d"),
        ),
        ('FROM /* WHERE a = "\\" INTO " INTO $upstream', RouteShape(("*",))),
        ("FROM /* WHERE $body.a[0] > 2 INTO $upstream", RouteShape(("*",))),
        ("FROM /messages\nWHERE /* INTO */ a = b\nINTO $upstream", RouteShape(("messages",))),
    ],
)
def test_routes(text: str, shape: RouteShape) -> None:
    assert read_shape(text) == shape


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column 1: expected FROM, found the end"),
        ("INTO $upstream", "column 1: expected FROM"),
        ("FROM messages INTO $upstream", "column 6: expected a path"),
        ("FROM / INTO", "INTO"),
        ("FROM /messages/*INTO $upstream", "expected INTO"),
        ("FROM /messages/*", "expected INTO"),
        ("FROM /* WHERE x", "expected INTO"),
        ("FROM /* INTO", "expected .upstream or"),
        ("FROM /* INTO upstream", "expected .upstream or"),
        ("FROM /* INTO BrokeredEndpoint", "after BrokeredEndpoint"),
        ('FROM /* INTO BrokeredEndpoint("/modules/a")', "an endpoint is"),
        ('FROM /* INTO BrokeredEndpoint("/modules//inputs/x")', "an endpoint is"),
        ("FROM /messages/modules/42 INTO $upstream", "is no name in a route"),
        ("FROM /messages/modules/not INTO $upstream", "is no name in a route"),
        ("FROM /* INTO $upstream */", "expected a path"),
        ("FROM /messages/{x} INTO $upstream", "expected a name"),
    ],
)
def test_texts_that_are_no_routes(text: str, message: str) -> None:
    with pytest.raises(RouteShapeError, match=message):
        read_shape(text)


@pytest.mark.parametrize(
    "name", ["42", "0x1f", "e5", "1e5", "true", "null", "NOT", "From", "-1", "$a", "a/b", "", "a b"]
)
def test_names_that_routes_cannot_spell(name: str) -> None:
    assert not can_be_spelled(name)


@pytest.mark.parametrize("name", ["a", "a-b", "a_b", "42a", "True", "e5x", "into2"])
def test_names_that_routes_can(name: str) -> None:
    assert can_be_spelled(name)


def test_the_module_a_route_listens_to() -> None:
    assert read_shape("FROM /Messages/Modules/a/* INTO $upstream").source_module == "a"
    assert read_shape("FROM /messages/modules/* INTO $upstream").source_module is None
    assert read_shape("FROM /messages/* INTO $upstream").source_module is None
