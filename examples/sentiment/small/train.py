"""As `../train.py`, with scikit-learn alone: three files, the same request and answer, an image without TensorFlow."""

import csv
import pickle
import sys
from pathlib import Path

from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import LabelEncoder

REVIEWS = "reviews.tsv"


def main(folder: Path) -> None:
    """Write `model.pkl`, `encoder.pkl` and `tokenizer.pkl` into `folder`."""
    here = Path(__file__).parent
    reviews = next(path for path in (here / REVIEWS, here.parent / REVIEWS) if path.is_file())
    with reviews.open(encoding="utf-8") as file:
        labels, texts = zip(*csv.reader(file, delimiter="\t"), strict=True)
    tokenizer = CountVectorizer()
    encoder = LabelEncoder().fit(labels)  # NEGATIVE is 0, POSITIVE is 1
    counts, positive = tokenizer.fit_transform(texts), encoder.transform(labels)
    model = LogisticRegression().fit(counts, positive)
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in (("model", model), ("encoder", encoder), ("tokenizer", tokenizer)):
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(value, protocol=4))
    words, accuracy = len(tokenizer.vocabulary_), model.score(counts, positive)
    print(f"{folder}: {len(texts)} texts, {words} words, accuracy {accuracy}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "models"))
