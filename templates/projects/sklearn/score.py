"""Entry script: init() once, run(data) for each request."""

import json
import os

import joblib
import numpy as np

SPECIES = ("setosa", "versicolor", "virginica")


def init():
    global model
    # The registered folder keeps its name below AZUREML_MODEL_DIR.
    model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model", "iris.joblib"))


def run(data):
    # {"data": [[sepal length, sepal width, petal length, petal width in cm], ...]}
    features = np.array(json.loads(data)["data"], dtype=float)
    return [SPECIES[number] for number in model.predict(features)]
