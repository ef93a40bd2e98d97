"""A device: sends temperatures, obeys its twin, and answers a direct method. Plain azure-iot-device.

CONNECTION_STRING: the device's. CA_FILE: authorities of the hub's or gateway's certificate, where the system does not
know them. Desired property `interval_s`: seconds between readings. Method `heat`: 15 degrees more from now on.
`--count N`: end after N readings.
"""

import argparse
import json
import os
import signal
import threading
from pathlib import Path

from azure.iot.device import IoTHubDeviceClient, Message, MethodResponse
from azure.iot.device.exceptions import ClientError

ca_file = os.environ.get("CA_FILE")
options = {"server_verification_cert": Path(ca_file).read_text()} if ca_file else {}
client = IoTHubDeviceClient.create_from_connection_string(os.environ["CONNECTION_STRING"], **options)
stop = threading.Event()
state = {"interval_s": 1.0, "warmer": 0}


def obey(desired):
    if isinstance(desired.get("interval_s"), int | float):
        state["interval_s"] = desired["interval_s"]
        client.patch_twin_reported_properties({"interval_s": desired["interval_s"]})


def answer(request):
    if request.name == "heat":
        state["warmer"] = 15
        response = MethodResponse.create_from_method_request(request, 200, {"warmer": state["warmer"]})
    else:
        response = MethodResponse.create_from_method_request(request, 404, {"message": "only heat"})
    client.send_method_response(response)


def send(number):
    """Send a reading until the hub has it: the SDK itself keeps nothing while there is no connection."""
    message = Message(json.dumps({"temperature": 20 + number % 5 + state["warmer"]}))
    message.message_id = f"reading-{number}"
    message.content_type, message.content_encoding = "application/json", "utf-8"
    while not stop.is_set():
        try:
            client.send_message(message)
            return
        except ClientError as error:
            print(f"not sent: {error}; again in a second", flush=True)
            stop.wait(1)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--count", type=int)
    count = arguments.parse_args().count
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    client.connect()
    client.on_twin_desired_properties_patch_received = obey
    client.on_method_request_received = answer
    obey(client.get_twin()["desired"])
    print("connected", flush=True)
    number = 0
    while not stop.is_set() and (count is None or number < count):
        number += 1
        send(number)
        stop.wait(state["interval_s"])
    client.shutdown()
    print(f"sent {number} readings", flush=True)


main()
