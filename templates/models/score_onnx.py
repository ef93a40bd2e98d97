"""Entry script: init() once, run(data) for each request."""

import json
import os

import numpy as np
import onnxruntime

MODEL = "$path"
TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(string)": "object",
}


def init():
    global session
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the default keeps threads spinning, which burns a core while idle
    path = os.path.join(os.environ["AZUREML_MODEL_DIR"], MODEL)
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(data):
    # {"NAME OF AN INPUT": nested lists, ...}, or the lists alone where the model has one input
    given = json.loads(data)
    inputs = session.get_inputs()
    if not isinstance(given, dict):
        given = {inputs[0].name: given}
    feeds = {each.name: np.array(given[each.name], dtype=type_of(each)) for each in inputs}
    names = [output.name for output in session.get_outputs()]
    return {name: plain(value) for name, value in zip(names, session.run(names, feeds))}


def type_of(model_input):
    """numpy's name of an input's type: tensor(int64) is int64."""
    return TYPES.get(model_input.type, model_input.type[len("tensor(") : -1])


def plain(value):
    """Arrays as lists; the maps of classifiers stay as they are."""
    return value.tolist() if isinstance(value, np.ndarray) else value
