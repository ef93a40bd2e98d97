"""Commands of `az ml` that are not here under their name: what to do instead. Read when a command is not known."""

from difflib import get_close_matches

_AZURE = "is Azure's: there is none here"

_INSTEAD = {
    "ml": "the commands stand without `ml`: edgepack model, edgepack service, edgepack environment",
    "workspace": "nothing to make or attach: the workspace is a folder, --workspace DIR or EDGEPACK_WORKSPACE",
    "folder": "nothing to attach: the workspace is a folder, --workspace DIR or EDGEPACK_WORKSPACE",
    "computetarget": f"a compute target {_AZURE}; `edgepack model deploy` runs services on this machine, `edgepack "
    "deploy` reaches devices",
    "run": f"a run {_AZURE}; train where you like, then `edgepack model register -p FILE_OR_FOLDER -n NAME`",
    "experiment": f"an experiment {_AZURE}; `edgepack model register --from-mlflow` takes what MLflow has logged",
    "pipeline": f"a pipeline {_AZURE}; call edgepack's commands from a script or a CI job",
    "dataset": f"a dataset {_AZURE}; a sample request goes with a model: `edgepack model register --sample-input FILE`",
    "datastore": f"a datastore {_AZURE}; files are taken from this machine",
    "endpoint": f"an endpoint {_AZURE}; `edgepack service` has the services of this machine",
    "model package": "`edgepack build -m MODEL --ic FILE` makes the image (in Python: Model.package)",
    "model profile": "deploy it with `edgepack model deploy`, and see /metrics beside its scoring URI under load",
    "service get-access-token": "there are no tokens: `edgepack service keys SERVICE` shows the keys",
}


def no_such_command(path: str, name: str, known: list[str]) -> str:
    """What is said of a command `name` that the group `path` has not: what to do instead, or the nearest name."""
    instead = _INSTEAD.get(" ".join([*path.split()[1:], name]))
    if instead:
        return f"No such command {name!r}: {instead}."
    near = get_close_matches(name, known, 1)
    return f"No such command {name!r}." + (f" Did you mean {near[0]!r}?" if near else "")
