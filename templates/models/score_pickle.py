"""Entry script: init() once, run(data) for each request."""

import json
import os

import joblib  # reads plain pickles, too

MODEL = "$path"


def init():
    global model
    # What the model is made of must be in conda.yml.
    model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], MODEL))


def run(data):
    # `data` is the body of the request as text; what you return is sent back as JSON.
    return {"model": type(model).__name__, "received": json.loads(data)}
