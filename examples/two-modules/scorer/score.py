"""How far warm readings are over the limits of the machine. The limits are the registered model."""

import json
import os


def init():
    global limits
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "limits.json")) as file:
        limits = json.load(file)


def run(data):
    message = json.loads(data)
    over = {name: message["machine"].get(name, 0.0) - limit for name, limit in limits.items()}
    return {"alarm": max(over.values()) > 0, "over": over, "timeCreated": message["timeCreated"]}
