"""Entry script: init() once, run(data) for each request."""

import json
import os

import numpy as np
import onnxruntime


def init():
    global session
    # The registered folder keeps its name below AZUREML_MODEL_DIR.
    path = os.path.join(os.environ["AZUREML_MODEL_DIR"], "model", "digits.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the default keeps threads spinning, which burns a core while idle
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(data):
    # {"data": [[64 grey values from 0 to 16], ...]}
    pixels = np.array(json.loads(data)["data"], dtype=np.float32)
    digit, probability = session.run(["digit", "probability"], {"pixels": pixels})
    return {"digit": digit.tolist(), "probability": probability.max(axis=1).round(4).tolist()}
