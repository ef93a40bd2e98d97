"""Entry script: init() once, run(data) for each request."""

import json


def init():
    # Load your model here. What `edgepack model register -n NAME -p FOLDER` stored is below
    # os.environ["AZUREML_MODEL_DIR"], under the name of FOLDER.
    pass


def run(data):
    # `data` is the body of the request as text; what you return is sent back as JSON.
    return {"received": json.loads(data)}
