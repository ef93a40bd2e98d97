"""A module: takes readings on the input `readings`, and says on the output `judged` which are over its limit.

In IoT Edge it finds its identity in the environment; elsewhere CONNECTION_STRING and CA_FILE, as with the thermometer.
Desired property `limit`. The SDK acknowledges an input before this program has seen it: what is in it when it is killed
is lost.
"""

import json
import os
import signal
import threading
from pathlib import Path

from azure.iot.device import IoTHubModuleClient, Message

if "CONNECTION_STRING" in os.environ:
    ca_file = os.environ.get("CA_FILE")
    options = {"server_verification_cert": Path(ca_file).read_text()} if ca_file else {}
    client = IoTHubModuleClient.create_from_connection_string(os.environ["CONNECTION_STRING"], **options)
else:
    client = IoTHubModuleClient.create_from_edge_environment()
stop = threading.Event()
state = {"limit": 30.0}


def obey(desired):
    if isinstance(desired.get("limit"), int | float):
        state["limit"] = desired["limit"]
        client.patch_twin_reported_properties({"limit": desired["limit"]})


def judge(message):
    if message.input_name != "readings":
        return
    reading = json.loads(message.data)
    temperature = reading.get("machine", reading)["temperature"]
    verdict = Message(json.dumps({"temperature": temperature, "over": temperature > state["limit"]}))
    verdict.correlation_id = message.message_id
    verdict.message_id = f"judged-{message.message_id}"
    verdict.content_type, verdict.content_encoding = "application/json", "utf-8"
    client.send_message_to_output(verdict, "judged")


def main():
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    client.connect()
    client.on_twin_desired_properties_patch_received = obey
    obey(client.get_twin()["desired"])
    client.on_message_received = judge
    print("connected", flush=True)
    stop.wait()
    client.shutdown()


main()
