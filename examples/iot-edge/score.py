"""Which readings of a machine are over their limits. The limits are the registered model."""

import json
import os


def init():
    global limits
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "limits.json")) as file:
        limits = json.load(file)


def run(data):
    message = json.loads(data)
    over = [
        f"{part}.{name}"
        for part, names in limits.items()
        for name, limit in names.items()
        if message.get(part, {}).get(name, 0.0) > limit
    ]
    return {"anomaly": bool(over), "over": over, "timeCreated": message.get("timeCreated")}
