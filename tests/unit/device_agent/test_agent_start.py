"""The beginning of the agent's life: what is told before a script is started, and what the script is not told."""

from pathlib import Path

import pytest

from device_agent.agent import child_environment, misspelt_variables
from device_agent.errors import SettingsError
from device_agent.messages.start import MessageSide, served_models
from device_agent.settings import parse_settings

MQTT = {"EDGEPACK_TRANSPORT": "mqtt", "EDGEPACK_MQTT_URL": "mqtt://user:secret@broker"}


def test_a_variable_that_is_nearly_one_of_the_agents_is_told() -> None:
    given = {"EDGEPACK_MESAGE_TTL_S": "5", "EDGEPACK_WORKERS": "1", "EDGEPACK_DEBIAN_MIRROR": "http://x", "PATH": "/"}
    (warning,) = misspelt_variables(given)
    assert warning.endswith("did you mean EDGEPACK_MESSAGE_TTL_S?")


def test_the_script_does_not_get_the_agents_secrets() -> None:
    environment = {**MQTT, "EDGEPACK_CONNECTION_STRING": "SharedAccessKey=x", "MINE": "yes"}
    child = child_environment(parse_settings(MQTT), environment)
    assert child["MINE"] == "yes"
    assert not {"EDGEPACK_MQTT_URL", "EDGEPACK_CONNECTION_STRING"} & child.keys()


def test_problems_of_buffer_and_transport_are_told_together(tmp_path: Path) -> None:
    given = {**MQTT, "EDGEPACK_BUFFER_PATH": "/nowhere/at/all.db", "EDGEPACK_MQTT_CA_FILE": "/no/ca.pem"}
    given["EDGEPACK_MQTT_URL"] = "mqtts://broker"
    with pytest.raises(SettingsError) as caught:
        MessageSide(parse_settings(given).messages, given, str(tmp_path))
    told = str(caught.value)
    assert "/nowhere/at" in told
    assert "/no/ca.pem" in told


@pytest.mark.parametrize("filter_", ["loop/+", "#", "$share/g/loop/#", "loop/out"])
def test_an_input_that_covers_an_output_is_refused(tmp_path: Path, filter_: str) -> None:
    given = {**MQTT, "EDGEPACK_INPUT": filter_, "EDGEPACK_OUTPUT": "loop/out"}
    given["EDGEPACK_BUFFER_PATH"] = str(tmp_path / "buffer.db")
    with pytest.raises(SettingsError, match="EDGEPACK_OUTPUT, loop/out: what is sent would come back"):
        MessageSide(parse_settings(given).messages, given, str(tmp_path))


def test_served_models_are_the_versions_in_their_folders(tmp_path: Path) -> None:
    for name in ("iris/2", "iris/10", "digits/1", "digits/notes"):
        (tmp_path / name).mkdir(parents=True)
    assert sorted(served_models(tmp_path)) == [("digits", "1"), ("iris", "10"), ("iris", "2")]
    assert served_models(tmp_path / "none") == []
