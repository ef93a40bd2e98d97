"""Entry script: init() once, run(data) for each request."""

import json
import os

MODEL = "$path"


def init():
    global model
    # Load what is in the folder with the library that wrote it, and name that library in conda.yml.
    model = sorted(os.listdir(os.path.join(os.environ["AZUREML_MODEL_DIR"], MODEL)))


def run(data):
    # `data` is the body of the request as text; what you return is sent back as JSON.
    return {"model": model, "received": json.loads(data)}
