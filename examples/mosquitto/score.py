"""A script for messages: the mean of a list of readings, and whether a pump runs hot."""

import json

LIMIT = 80.0


def init():
    pass


def run(data):
    readings = json.loads(data)["readings"]
    mean = sum(readings) / len(readings)
    return {"mean": mean, "hot": mean > LIMIT}
