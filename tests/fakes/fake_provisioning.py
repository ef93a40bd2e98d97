"""A device provisioning service on loopback: it assigns one hub to whoever registers with the right key."""

import json
from asyncio import StreamWriter
from urllib.parse import parse_qsl

from tests.fakes import fake_mqtt as mqtt
from tests.fakes.fake_iot_hub import FakeIotHub


class FakeProvisioning(FakeIotHub):
    """Assigns `assigned` (hub, device id), or answers 401 without. `keys`: of registration ids."""

    id_scope = "0ne00112233"
    assigned: tuple[str, str] | None = None

    def _problem_of(self, connect: mqtt.Connect) -> str:
        expected = f"{self.id_scope}/registrations/{connect.client_id}"
        if not connect.user.startswith(f"{expected}/api-version="):
            return f"bad user name {connect.user}"
        return self._problem_of_token(connect.password, expected, self.keys[connect.client_id])

    def _take(self, client_id: str, message: mqtt.Publish, writer: StreamWriter) -> None:
        path, _, query = message.topic.partition("?")
        rid = dict(parse_qsl(query))["$rid"]
        writer.write(mqtt.packet(mqtt.PUBACK, 0, message.mid.to_bytes(2)))
        if path != "$dps/registrations/PUT/iotdps-register/":
            self._note(self.misdeeds, f"publish to {message.topic}")
            return
        assert json.loads(message.body)["registrationId"] == client_id
        if self.assigned is None:
            self._send(
                client_id, mqtt.Publish(f"$dps/registrations/res/401/?$rid={rid}", b'{"message": "no"}', 0, False, 0)
            )
            return
        hub, device_id = self.assigned
        state = {"registrationId": client_id, "assignedHub": hub, "deviceId": device_id, "status": "assigned"}
        state |= {"substatus": "initialAssignment", "etag": "e", "createdDateTimeUtc": "2026-01-01T00:00:00Z"}
        state |= {"lastUpdatedDateTimeUtc": "2026-01-01T00:00:00Z"}
        answer = json.dumps({"operationId": "4.d0a", "status": "assigned", "registrationState": state}).encode()
        self._send(client_id, mqtt.Publish(f"$dps/registrations/res/200/?$rid={rid}", answer, 0, False, 0))
