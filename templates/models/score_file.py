"""Entry script: init() once, run(data) for each request."""

import json
import os

MODEL = "$path"


def init():
    global model
    # Load the file with the library that wrote it, and name that library in conda.yml.
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], MODEL), "rb") as file:
        model = file.read()


def run(data):
    # `data` is the body of the request as text; what you return is sent back as JSON.
    return {"model": len(model), "received": json.loads(data)}
