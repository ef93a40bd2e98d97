"""Reads the source of an entry script without running it: what would keep it from being served. Pure, `ast`
only.

The packager calls `scan_script` at build time, so that a fault shows on the desk and not on the device; the
agent uses the same sentences when it refuses a script at start. The check accepts every script that could
work: names bound in branches, by assignment, by import, by `from x import *` or dynamically count as present.
"""

import ast
import warnings
from collections.abc import Callable, Iterator

UNUSABLE_PARAMETERS = "run() cannot have positional-only parameters, *args or **kwargs"
NO_DATA_PARAMETER = "run() needs a parameter for the request's data"
NO_DATA_BESIDE_HEADERS = "run() needs a parameter for the request's data besides request_headers"
RAW_WITH_SCHEMA = "run() cannot be decorated with both @rawhttp and @input_schema"

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_SCHEMA_DECORATORS = {"input_schema", "output_schema"}
_RAW_DECORATOR = "rawhttp"
_NEW_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def scan_script(source: str) -> tuple[str, ...]:
    """Problems that keep the script from being served, one sentence each; () for a script that may work.

    Never raises, whatever the text.
    """
    tree = _parse(source)
    if isinstance(tree, str):
        return (tree,)
    bound = _module_names(tree)
    problems = [
        f"the script has no {name}() function at its top level"
        for name in ("init", "run")
        if name not in bound and "*" not in bound
    ]
    problems += _definition_problems(bound.get("run", []), _run_problem)
    problems += _definition_problems(bound.get("init", []), _init_problem)
    return tuple(problems)


def script_warnings(source: str) -> tuple[str, ...]:
    """What will work but cost more than the author expects, one sentence each. Never raises."""
    tree = _parse(source)
    if isinstance(tree, str):
        return ()
    found = [
        f"line {call.lineno}: onnxruntime.InferenceSession is made with default session options, which keep "
        "its threads spinning and burn a core while the model idles. Pass sess_options with "
        'add_session_config_entry("session.intra_op.allow_spinning", "0"), or with intra_op_num_threads = 1'
        for call in _default_sessions(tree)
    ]
    for run in _module_names(tree).get("run", []):
        if (
            isinstance(run, _Function)
            and not run.decorator_list
            and len(_required_names(run) - {"request_headers"}) > 1
        ):
            found.append(
                f"line {run.lineno}: run() has more than one required parameter and no @input_schema: "
                "every call will fail, because the request's body is passed as one string"
            )
    return tuple(found)


def imports_package(source: str, package: str) -> bool:
    """True when the script imports `package` or a module of it, be it inside a function. Never raises."""
    tree = _parse(source) if package in source else ""
    if isinstance(tree, str):
        return False
    names: list[str] = []
    for node, _ in _walk_scopes(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.append(node.module or "")
    return any(name.partition(".")[0] == package for name in names)


def _parse(source: str) -> ast.Module | str:
    """The tree, or the problem as a sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes and the like are the script's own business
            return ast.parse(source.removeprefix("\ufeff"))
    except SyntaxError as error:
        return f"line {error.lineno or 1}, column {error.offset or 1}: {error.msg}"
    except UnicodeEncodeError as error:
        return f"the script is not text: {error.reason} at character {error.start}"
    except (ValueError, OverflowError) as error:  # null bytes
        return f"the script is not Python: {error}"
    except (RecursionError, MemoryError):
        return "the script is nested too deeply to be parsed"


def _module_names(tree: ast.Module) -> dict[str, list[ast.AST]]:
    """Names that the module's top level may bind, each with the nodes that bind it, in order; "*" if
    unknowable.
    """
    bound: dict[str, list[ast.AST]] = {}
    for node, at_top in _walk_scopes(tree):
        for name in _bound_names(node, at_top=at_top):
            bound.setdefault(name, []).append(node)
    return bound


def _walk_scopes(tree: ast.Module) -> Iterator[tuple[ast.AST, bool]]:
    """Every node in the order of the source, and whether it runs in the module's own scope. No recursion."""
    stack: list[tuple[ast.AST, bool]] = [(tree, True)]
    while stack:
        node, at_top = stack.pop()
        yield node, at_top
        inside = at_top and not isinstance(node, _NEW_SCOPES)
        stack.extend((child, inside) for child in reversed(list(ast.iter_child_nodes(node))))


def _bound_names(node: ast.AST, *, at_top: bool) -> list[str]:
    match node:
        case ast.Global(names=names):
            return list(names)
        case ast.Call(func=ast.Name(id="globals" | "exec" | "vars" | "setattr")):
            return ["*"]
    if not at_top:
        return []
    match node:
        case ast.FunctionDef(name="__getattr__"):
            return ["*"]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            return [alias.asname or alias.name.partition(".")[0] for alias in aliases]
        case ast.Name(id=name, ctx=ast.Store()):
            return [name]
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            return [name]
        case ast.ExceptHandler(name=str(name)):
            return [name]
    return []


def _definition_problems(nodes: list[ast.AST], problem: Callable[[_Function], str]) -> list[str]:
    """The last plain definition's problem, provided that every place that binds the name has one."""
    found = [problem(node) if isinstance(node, _Function) else "" for node in nodes]
    return found[-1:] if all(found) else []


def _run_problem(run: _Function) -> str:
    decorators = _decorator_names(run)
    if _RAW_DECORATOR in decorators and decorators & _SCHEMA_DECORATORS:
        return f"line {run.lineno}: {RAW_WITH_SCHEMA}"
    if decorators - _SCHEMA_DECORATORS - {_RAW_DECORATOR}:
        return ""
    if run.args.posonlyargs or run.args.vararg or run.args.kwarg:
        return f"line {run.lineno}: {UNUSABLE_PARAMETERS}"
    names = [argument.arg for argument in run.args.args + run.args.kwonlyargs]
    if not names:
        return f"line {run.lineno}: {NO_DATA_PARAMETER}"
    if names == ["request_headers"]:
        return f"line {run.lineno}: {NO_DATA_BESIDE_HEADERS}"
    return ""


def _init_problem(init: _Function) -> str:
    required = _required_names(init)
    if init.decorator_list or not required:
        return ""
    return f"line {init.lineno}: init() is called without arguments but requires {', '.join(sorted(required))}"


def _required_names(function: _Function) -> set[str]:
    arguments = function.args
    positional = arguments.posonlyargs + arguments.args
    required = positional[: len(positional) - len(arguments.defaults)]
    required += [
        arg for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default is None
    ]
    return {argument.arg for argument in required}


def _decorator_names(function: _Function) -> set[str]:
    """Last parts of the decorators' names; "?" for one that is no plain name."""
    names = set()
    for decorator in function.decorator_list:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        names.add(target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "?"))
    return names


def _default_sessions(tree: ast.Module) -> Iterator[ast.Call]:
    """Calls of onnxruntime.InferenceSession without session options."""
    modules, classes = {"onnxruntime"}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.asname for alias in node.names if alias.name == "onnxruntime" and alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module == "onnxruntime":
            classes |= {alias.asname or alias.name for alias in node.names if alias.name == "InferenceSession"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _names_session(node.func, modules, classes) and not _has_options(node):
            yield node


def _names_session(function: ast.expr, modules: set[str], classes: set[str]) -> bool:
    match function:
        case ast.Name(id=name):
            return name in classes
        case ast.Attribute(value=ast.Name(id=module), attr="InferenceSession"):
            return module in modules
    return False


def _has_options(call: ast.Call) -> bool:
    if any(isinstance(argument, ast.Starred) for argument in call.args) or any(k.arg is None for k in call.keywords):
        return True
    given = call.args[1:2] + [keyword.value for keyword in call.keywords if keyword.arg == "sess_options"]
    return any(not (isinstance(value, ast.Constant) and value.value is None) for value in given)
