"""Entry script: init() once, run(data) for each request."""

import json
import os

import joblib
import numpy as np

MODEL = "$path"


def init():
    global model
    model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], MODEL))


def run(data):
    # {"data": [[a value for each column], ...]}
    return model.predict(np.array(json.loads(data)["data"])).tolist()
