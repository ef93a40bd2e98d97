"""How positive a text is. Request: {"text": "..."}; answer: {"label", "score", "elapsed_time"}."""

import json
import os
import pickle
import time

from gensim.models import Word2Vec
from keras.models import load_model
from keras.utils import pad_sequences

NEGATIVE_UNTIL, POSITIVE_FROM = 0.4, 0.7


def init():
    global model, tokenizer, negative, positive
    folder = os.path.join(os.environ["AZUREML_MODEL_DIR"], "models")
    model = load_model(os.path.join(folder, "model.h5"), compile=False)
    vectors = Word2Vec.load(os.path.join(folder, "model.w2v")).wv
    tokenizer = opened(folder, "tokenizer.pkl")
    negative, positive = opened(folder, "encoder.pkl").classes_
    strange = [word for word in tokenizer.word_index if word not in vectors]
    if strange:
        raise ValueError(f"model.w2v and tokenizer.pkl are of two trainings: {strange[:5]} in one of them only")


def opened(folder, name):
    with open(os.path.join(folder, name), "rb") as file:
        return pickle.load(file)  # noqa: S301 - the registered model is what its owner trained


def run(data):
    began = time.perf_counter()
    text = json.loads(data)["text"]
    numbers = pad_sequences(tokenizer.texts_to_sequences([text]), maxlen=model.input_shape[1])
    score = model.predict(numbers, verbose=0).item()
    label = negative if score <= NEGATIVE_UNTIL else positive if score >= POSITIVE_FROM else "NEUTRAL"
    return {"label": str(label), "score": score, "elapsed_time": time.perf_counter() - began}
