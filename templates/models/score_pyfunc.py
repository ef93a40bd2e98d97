"""Entry script: init() once, run(data) for each request."""

import json
import os

import mlflow.pyfunc
import numpy
import pandas

MODEL = "$path"


def init():
    global model
    model = mlflow.pyfunc.load_model(os.path.join(os.environ["AZUREML_MODEL_DIR"], MODEL))


def run(data):
    # {"dataframe_split": {"columns": [names], "data": [[values], ...]}}, {"dataframe_records": [{name: value}, ...]}, or
    # {"inputs": nested lists}; beside them {"params": {...}} where the model takes parameters
    document = json.loads(data)
    if "dataframe_split" in document:
        given = pandas.DataFrame(**document["dataframe_split"])
    elif "dataframe_records" in document:
        given = pandas.DataFrame(document["dataframe_records"])
    else:
        given = numpy.array(document["inputs"])
    answer = model.predict(given, **({"params": document["params"]} if "params" in document else {}))
    if isinstance(answer, pandas.DataFrame):
        return {"predictions": answer.to_dict(orient="records")}
    return {"predictions": answer.tolist() if hasattr(answer, "tolist") else answer}
