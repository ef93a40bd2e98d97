"""Models that take a sequence of texts, of scikit-learn itself, asked through the built-in server."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline, make_union

from device_agent import BadInput, model_script
from device_agent.text_request import takes_texts
from tests.unit.device_agent.test_agent_model_script import serve

TEXTS, MOODS = ["good day", "very good", "bad day", "very bad"], ["glad", "glad", "sad", "sad"]
SIGNATURE = [{"name": "text", "type": "string", "required": True}]


class Lowered(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A transformer of the user's own before the vectorizer."""

    def fit(self, x: Any, y: Any = None) -> "Lowered":
        """Learn nothing."""
        return self

    def transform(self, x: Any) -> Any:
        """In small letters."""
        return [text.lower() for text in x]


class Column(Lowered):
    """Takes the texts out of a table."""

    def transform(self, x: Any) -> Any:
        """Those of the column `text`."""
        return list(x["text"])


def pipeline(*steps: Any) -> Any:
    return make_pipeline(*(steps or (TfidfVectorizer(),)), LogisticRegression()).fit(TEXTS, MOODS)


@pytest.mark.parametrize(
    ("document", "is_mlflow"),
    [
        (["good", "bad"], False),
        ({"data": ["good", "bad"]}, False),
        ({"data": [["good"], ["bad"]]}, False),
        ({"data": [{"text": "good"}, {"text": "bad"}]}, False),
        ({"inputs": ["good", "bad"]}, True),
        ({"instances": ["good", "bad"]}, True),
        ({"inputs": {"text": ["good", "bad"]}}, True),
        ({"dataframe_records": [{"text": "good"}, {"text": "bad"}]}, True),
        ({"dataframe_split": {"columns": ["text"], "data": [["good"], ["bad"]]}}, True),
    ],
)
@pytest.mark.parametrize("signature", [[], SIGNATURE], ids=["file", "signature"])
def test_every_form_asks_for_one_prediction_a_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: object, is_mlflow: bool, signature: list[dict[str, Any]]
) -> None:
    serve(tmp_path, monkeypatch, pipeline(), signature)
    answer = model_script.run(json.dumps(document))
    assert answer == ({"predictions": ["glad", "sad"]} if is_mlflow else ["glad", "sad"])


def test_probabilities_of_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = pipeline()
    serve(tmp_path, monkeypatch, model, [])
    answer = model_script.run('{"data": ["good"], "method": "predict_proba"}')
    assert answer == model.predict_proba(["good"]).tolist()


def test_a_step_of_the_users_own_may_take_the_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(tmp_path, monkeypatch, pipeline(Lowered(), TfidfVectorizer(lowercase=False)), [])
    assert model_script.run('["GOOD", "BAD"]') == ["glad", "sad"]


@pytest.mark.parametrize("texts", [["good"], ["bad"], ["good", "bad"]])
def test_names_of_columns_are_never_taken_for_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: list[str]
) -> None:
    """Nothing tells of this model that it takes texts, and its signature says a table."""
    model = pipeline(Lowered(), TfidfVectorizer())
    serve(tmp_path, monkeypatch, model, SIGNATURE)
    with pytest.raises(RuntimeError, match=r"the model answered 1 predictions to 2 rows: .* write an entry script"):
        model_script.run(json.dumps({"dataframe_records": [{"text": text} for text in texts]}))


@pytest.mark.parametrize("count", [1, 2])
def test_a_step_may_take_the_texts_from_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    model = make_pipeline(Column(), TfidfVectorizer(), LogisticRegression()).fit(pd.DataFrame({"text": TEXTS}), MOODS)
    serve(tmp_path, monkeypatch, model, SIGNATURE)
    rows = [{"text": "good"}, {"text": "bad"}][:count]
    assert model_script.run(json.dumps({"data": rows})) == ["glad", "sad"][:count]


def test_a_step_that_passes_everything_on_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(tmp_path, monkeypatch, pipeline("passthrough", TfidfVectorizer()), SIGNATURE)
    assert model_script.run('{"dataframe_records": [{"text": "good"}]}') == {"predictions": ["glad"]}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (
            ["good", 5, None],
            "Row 1: expected a text, found 5. Row 2: expected a text, found null. The model expects one",
        ),
        ({"data": [["good", "bad"]]}, "A row has 2 values. The model expects one text a row."),
        ({"data": [["good"], "bad"]}, "must be a list of rows"),
        ({"data": []}, "data has no rows"),
        ([1] * 12, "Row 9: expected a text, found 1. And 2 more."),
    ],
)
def test_what_is_no_text_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: object, said: str) -> None:
    serve(tmp_path, monkeypatch, pipeline(), [])
    with pytest.raises(BadInput) as caught:
        model_script.run(json.dumps(document))
    assert said in str(caught.value)


def test_texts_for_a_model_of_numbers_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(tmp_path, monkeypatch, LogisticRegression().fit(np.array([[0.0], [9]]), MOODS[1:3]), [])
    with pytest.raises(BadInput, match="must be a list of rows"):
        model_script.run('["good"]')


@pytest.mark.parametrize(
    "model",
    [
        CountVectorizer(),
        pipeline(HashingVectorizer()),
        pipeline(make_union(CountVectorizer(), TfidfVectorizer())),
        make_pipeline(pipeline()),
        GridSearchCV(pipeline(), {}, cv=2).fit(TEXTS, MOODS),
        CalibratedClassifierCV(pipeline(), cv=2),
        VotingClassifier([("a", pipeline())]),
    ],
)
def test_where_the_texts_go_first(model: Any) -> None:
    assert takes_texts(model)


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(),
        make_pipeline(TfidfTransformer(), LogisticRegression()),
        make_pipeline(TfidfVectorizer(input="filename"), LogisticRegression()),
        {"steps": 1},
        None,
    ],
)
def test_what_takes_no_texts(model: Any) -> None:
    assert not takes_texts(model)
