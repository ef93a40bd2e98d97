"""Which values are taken for secrets, and which are not."""

from typing import Any

import pytest

from edgepack.deployment.secret_words import find_secrets, is_secret, without_secrets


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("blob", "https://account.example.net/c?sv=1&sig=3qPzJ0a1b2c3d4e5"),
        ("PASS", "x1"),
        ("PW", "x1"),
        ("MY_TOKEN", "abc"),
        ("DB_PASSWORD", "abc"),
        ("target", "https://user:hush@example.net/"),
        ("any", "HostName=h;SharedAccessKey=AAAAAAAAAAAAAAAAAAAAAAAA"),
        ("password", "/9j4AAQSkZJRg"),
        ("password", "$ecret"),
        ("PASSWORD", 1234),
        ("STORAGE_KEY", "3qPzJ0a1b2c3d4e5f6"),
        ("tokenValue", "3qPzJ0a1b2c3d4e5f6"),
    ],
)
def test_secrets(name: str, value: str) -> None:
    assert is_secret(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PASSWORD_FILE", "/run/secret"),
        ("bypass", "yes"),
        ("compass", "north"),
        ("MAX_TOKENS", "512"),
        ("url", "https://example.net/?sig=no"),
        ("password", "${PASSWORD}"),
        ("usesToken", "true"),
        ("password", "/run/secrets/password"),
        ("password", "$PASSWORD"),
        ("passwordMinAge", 86400),
        ("password", True),
        ("PARTITION_KEY", "deviceId"),
        ("tokenizer", "bert-base-uncased-v2"),
        ("any", "HostName=h;SharedAccessKey=..."),
    ],
)
def test_no_secrets(name: str, value: str) -> None:
    assert not is_secret(name, value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"Env": ["A=1", "DB_PASSWORD=x y"]}, {"Env": ["A=1", "DB_PASSWORD=***"]}),
        (
            {"Cmd": ["serve", "--password", "x", "--level", "y"]},
            {"Cmd": ["serve", "--password", "***", "--level", "y"]},
        ),
        ({"Cmd": ["--api-key=abc", "-v"]}, {"Cmd": ["--api-key=***", "-v"]}),
        ({"Cmd": ["sh", "-c", "serve --password x --port 1"]}, {"Cmd": ["sh", "-c", "serve --password *** --port 1"]}),
        ({"Cmd": "serve --secret=x"}, {"Cmd": "serve --secret=***"}),
        ([{"name": "password", "value": "x"}], [{"name": "password", "value": "***"}]),
        ([{"Name": "level", "Value": "x"}], [{"Name": "level", "Value": "x"}]),
        ({"a": {"key": "apiKey", "value": "x"}}, {"a": {"key": "apiKey", "value": "***"}}),
        ({"passwords": ["x", "y"]}, {"passwords": ["***", "***"]}),
        ({"Cmd": ["--password", "--level"], "b": None, "c": 1.5}, None),
        ({"Cmd": ["--password-file", "/run/x"]}, None),
    ],
)
def test_secrets_are_found_where_they_are_written(value: Any, shown: Any) -> None:
    before = repr(value)
    assert without_secrets(value) == (value if shown is None else shown)
    assert repr(value) == before
    assert (list(find_secrets(value)) == []) == (without_secrets(value) == value)


def test_a_deep_value_is_looked_through() -> None:
    value: Any = "x"
    for _ in range(50_000):
        value = [value]
    (secret,) = find_secrets({"password": value})
    assert len(secret.way) == 50_001
