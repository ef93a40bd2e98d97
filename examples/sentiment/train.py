"""Trains the four files of the `sentiment` model from `reviews.tsv` into a folder (`models`), in seconds.

The same packages give the same scores each time. Run it with the packages of `myenv.yml`: what is on the device must be
able to open what is written here.
"""

import csv
import pickle
import sys
from pathlib import Path

import keras
import numpy as np
from gensim.models import Word2Vec
from sklearn.preprocessing import LabelEncoder
from tensorflow.keras.preprocessing.text import Tokenizer

WORDS_OF_A_TEXT = 300  # score.py reads it off the model
NUMBERS_OF_A_WORD = 16
SEED = 11


def main(folder: Path) -> None:
    """Write `model.h5`, `model.w2v`, `encoder.pkl` and `tokenizer.pkl` into `folder`."""
    with Path(__file__).with_name("reviews.tsv").open(encoding="utf-8") as file:
        labels, texts = zip(*csv.reader(file, delimiter="\t"), strict=True)
    keras.utils.set_random_seed(SEED)

    tokenizer = Tokenizer()
    tokenizer.fit_on_texts(texts)
    sentences = [[tokenizer.index_word[number] for number in line] for line in tokenizer.texts_to_sequences(texts)]
    vectors = Word2Vec(sentences, vector_size=NUMBERS_OF_A_WORD, min_count=1, epochs=40, seed=SEED, workers=1)
    encoder = LabelEncoder().fit(labels)  # NEGATIVE is 0, POSITIVE is 1
    model = network(tokenizer, vectors)
    padded = keras.utils.pad_sequences(tokenizer.texts_to_sequences(texts), maxlen=WORDS_OF_A_TEXT)
    result = model.fit(padded, encoder.transform(labels), epochs=25, batch_size=10, verbose=0)

    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "model.h5")
    vectors.save(str(folder / "model.w2v"))
    for name, value in (("encoder", encoder), ("tokenizer", tokenizer)):
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(value, protocol=4))
    print(f"{folder}: {len(texts)} texts, {len(tokenizer.word_index)} words, accuracy {result.history['accuracy'][-1]}")


def network(tokenizer: Tokenizer, vectors: Word2Vec) -> keras.Model:
    """From the numbers of a text's words to how positive it is, 0 to 1: the mean of the words' vectors, weighed."""
    table = np.zeros((len(tokenizer.word_index) + 1, NUMBERS_OF_A_WORD))  # row 0 is for what is no word
    for word, number in tokenizer.word_index.items():
        table[number] = vectors.wv[word]
    model = keras.Sequential(
        [
            keras.Input((WORDS_OF_A_TEXT,), dtype="int32"),
            keras.layers.Embedding(*table.shape, mask_zero=True, name="words"),
            keras.layers.LSTM(8),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.get_layer("words").set_weights([table])
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"])
    return model


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "models"))
