"""What the transport `mqtt` refuses before it connects, and where it says that it connects to."""

from pathlib import Path
from typing import Any

import pytest

from device_agent.errors import SettingsError
from device_agent.messages.mqtt.mqtt_transport import MqttTransport
from device_agent.messages.settings import MqttSettings


def transport(input_name: str = "in", **settings: Any) -> MqttTransport:
    """A transport of the client `me` that never connects."""
    mqtt = MqttSettings(host="broker.example")._replace(**settings)
    return MqttTransport(mqtt, "me", input_name, keep_alive_s=60, window=10)


def problems(input_name: str = "in", **settings: Any) -> list[str]:
    """What is wrong with it."""
    with pytest.raises(SettingsError) as caught:
        transport(input_name, **settings)
    return list(caught.value.problems)


@pytest.mark.parametrize("input_name", ["#", "edgepack/#", "edgepack/+/status", "$share/g/#", "edgepack/me/status"])
def test_an_input_that_covers_the_status_is_refused(input_name: str) -> None:
    (problem,) = problems(input_name)
    assert "'edgepack/me/status'" in problem
    assert input_name in problem


def test_an_input_beside_the_status_is_not() -> None:
    transport("edgepack/+/input")
    transport("#", status_topic="$status/me")
    assert len(problems("a/+", status_topic="a/b")) == 1


@pytest.mark.parametrize("user", [None, ""])
def test_a_password_without_a_user_is_refused(user: str | None, tmp_path: Path) -> None:
    password_file = tmp_path / "password"
    password_file.write_text("s3cret")
    (problem,) = problems(user=user, password_file=str(password_file))
    assert "EDGEPACK_MQTT_PASSWORD_FILE is set, but EDGEPACK_MQTT_URL names no user" in problem
    transport(user="me", password_file=str(password_file))


def test_everything_that_is_wrong_is_told_at_once() -> None:
    assert len(problems("edgepack/#", password_file="/nowhere/password")) == 3


def test_the_address_has_no_secrets() -> None:
    assert transport(user="me", password="s3cret").address == "mqtt://broker.example:1883"
    assert transport(host="::1", port=8883, uses_tls=True).address == "mqtts://[::1]:8883"
