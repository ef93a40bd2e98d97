"""Which values are taken for secrets, and which are not."""

import pytest

from edgepack.deployment.secret_words import is_secret


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
    ],
)
def test_no_secrets(name: str, value: str) -> None:
    assert not is_secret(name, value)
