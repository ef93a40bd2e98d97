"""Run with the Python of the peer `mlflow`, in the folder of the models: what the agent's own server of models answers.

Reads [what is told of a model, request] pairs from stdin, and writes [status, answer] for each.
"""

import json
import os
import sys
from pathlib import Path

from device_agent import BadInput, model_script
from device_agent.result_json import encode_result

if __name__ == "__main__":
    os.environ["AZUREML_MODEL_DIR"] = str(Path.cwd())
    out, sys.stdout = sys.stdout, sys.stderr
    replies = []
    for told, request in json.load(sys.stdin):
        if os.environ.get("EDGEPACK_SERVED_MODEL") != json.dumps(told):
            os.environ["EDGEPACK_SERVED_MODEL"] = json.dumps(told)
            model_script.init()
        try:
            replies.append([200, json.loads(encode_result(model_script.run(json.dumps(request))))])
        except BadInput as error:
            replies.append([400, str(error)])
    json.dump(replies, out)
