"""How positive a text is. Request: {"text": "..."}; answer: {"label", "score", "elapsed_time"}."""

import json
import os
import pickle
import time

NEGATIVE_UNTIL, POSITIVE_FROM = 0.4, 0.7


def init():
    global model, tokenizer, negative, positive
    folder = os.path.join(os.environ["AZUREML_MODEL_DIR"], "models")
    model, tokenizer, encoder = (opened(folder, f"{name}.pkl") for name in ("model", "tokenizer", "encoder"))
    negative, positive = encoder.classes_


def opened(folder, name):
    with open(os.path.join(folder, name), "rb") as file:
        return pickle.load(file)  # noqa: S301 - the registered model is what its owner trained


def run(data):
    began = time.perf_counter()
    text = json.loads(data)["text"]
    score = model.predict_proba(tokenizer.transform([text]))[0, 1].item()
    label = negative if score <= NEGATIVE_UNTIL else positive if score >= POSITIVE_FROM else "NEUTRAL"
    return {"label": str(label), "score": score, "elapsed_time": time.perf_counter() - began}
