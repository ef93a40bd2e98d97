"""Entry script: init() once, run(data) for each request."""

import json
import os

import pandas
from skops.io import load

MODEL = "$path"
TRUSTED = "$trusted".split()  # types that the file may bring to life


def init():
    global model
    model = load(os.path.join(os.environ["AZUREML_MODEL_DIR"], MODEL), trusted=TRUSTED)


def run(data):
    # {"data": rows}, each a list, or an object by column; or {"dataframe_split": {"columns": [names], "data": rows}}
    document = json.loads(data)
    if "dataframe_split" in document:
        table = pandas.DataFrame(**document["dataframe_split"])
    else:
        table = pandas.DataFrame(document["data"] if "data" in document else document["inputs"])
    names = getattr(model, "feature_names_in_", None)
    if names is None:
        return model.predict(table.to_numpy()).tolist()
    if isinstance(table.columns, pandas.RangeIndex):  # lists, in the order of the columns
        table.columns = names
    return model.predict(table[list(names)]).tolist()
