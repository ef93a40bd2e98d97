"""Marks the readings of a machine that runs warm; routes let only those go to the scorer."""

import json

WARM = 25.0


def init():
    pass


def run(data):
    message = json.loads(data)
    machine = message.get("machine", {})
    return {
        "warm": machine.get("temperature", 0.0) > WARM,
        "machine": machine,
        "timeCreated": message.get("timeCreated"),
    }
