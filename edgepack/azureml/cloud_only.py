"""What of SDK v1 is Azure's alone: it is imported as before, and refused where it is used.

Scripts import more than they use. So each name of `cloud_table` is a class that can stand in imports, annotations and
`isinstance`; a call of it, or of anything it had, raises. Modules that hold nothing else have no file: `CloudFinder`
makes them of the table. A name that is not in the table cannot be imported, so that a mistyped one is found.
"""

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

from edgepack.azureml.cloud_table import IMAGES, PROFILES, TABLE
from edgepack.azureml.exceptions import AzureMLException, UserErrorException, WebserviceException

_ROOT = __name__.rpartition(".")[0]


def refuse(what: str, instead: str, kind: type[AzureMLException] = UserErrorException) -> NoReturn:
    """Say that `what` is Azure's, and what to do `instead`.

    Raises:
        AzureMLException: always; of that kind.
    """
    raise kind(_text(what, instead))


def refused(what: str, instead: str) -> Callable[..., NoReturn]:
    """A function or method that takes anything and refuses."""

    def refuse_it(*args: Any, **kwargs: Any) -> NoReturn:
        refuse(what, instead)

    refuse_it.__name__, refuse_it.__qualname__ = what.rpartition(".")[2], what
    refuse_it.__doc__ = f"Azure's; raises UserErrorException: {instead}."
    return refuse_it


def nothing(what: str, instead: str) -> property:
    """A property that holds no things of Azure."""
    return property(lambda _owner: NothingHere(what, instead), doc=f"Azure's, so empty: {instead}.")


class NothingHere(dict[str, Any]):
    """Empty, as v1's was in a new workspace; asking for one by name says what to do instead."""

    def __init__(self, what: str, instead: str) -> None:
        """`what` is the name of this mapping."""
        super().__init__()
        self._what, self._instead = what, instead

    def __missing__(self, name: str) -> NoReturn:
        """Refuse, as a `KeyError` that v1's callers may catch."""
        raise RefusedKey(_text(f"{self._what}[{name!r}]", self._instead))


class RefusedKey(UserErrorException, KeyError):
    """Both: v1 raised `KeyError`."""

    def __str__(self) -> str:
        """The text, which `KeyError` would quote."""
        return self.message


class RefusedAttribute(UserErrorException, AttributeError):
    """Both: `hasattr` and whoever inspects a class must be able to ask."""


class RefusedServiceAttribute(WebserviceException, AttributeError):
    """The same, of what v1 told by `WebserviceException`."""


class CloudOnly(type):
    """The class of the classes that stand in for those of Azure."""

    _instead = ""

    def __call__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse to make one, or to call it, where it was a function."""
        refuse(cls.__name__, cls._instead, cls._kinds()[0])

    def __getattr__(cls, name: str) -> NoReturn:
        """Refuse what the class had, which is an `AttributeError`, too; names with `_` were nobody's to use."""
        if name.startswith("_"):
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
        raise cls._kinds()[1](_text(f"{cls.__name__}.{name}", cls._instead))

    def _kinds(cls) -> tuple[type[AzureMLException], type[AzureMLException]]:
        if cls._instead in (IMAGES, PROFILES):
            return WebserviceException, RefusedServiceAttribute
        return UserErrorException, RefusedAttribute


class CloudFinder:
    """Finds the modules below `edgepack.azureml` that hold nothing but names of Azure."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module of that name, or None. Files come first, since their finder does."""
        return ModuleSpec(fullname, CloudFinder, is_package=True) if fullname in _modules() else None  # type: ignore[arg-type]

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """An ordinary one."""

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Fill in the names."""
        names = _modules()[module.__name__]
        module.__doc__ = f"`{module.__name__.removeprefix('edgepack.')}`: all of it is Azure's; see {__name__}."
        vars(module).update({name: cloud_name(module.__name__, name) for name in names}, __all__=sorted(names))


def names_of(module: str) -> Callable[[str], Any]:
    """The `__getattr__` of a module that has names of the table beside its own."""
    return lambda name: cloud_name(module, name)


def cloud_name(module: str, name: str) -> Any:
    """What `from module import name` gives, if the table has it.

    Raises:
        AttributeError: it has not.
    """
    modules = _modules()
    if name in modules.get(module, {}):
        return _stand_in(name, modules[module][name])
    if f"{module}.{name}" in modules:
        return import_module(f"{module}.{name}")
    raise AttributeError(f"module {module!r} has no attribute {name!r}")


@cache
def _stand_in(name: str, instead: str) -> CloudOnly:
    places = (module for module, names in _modules().items() if names.get(name) == instead)
    place = max(places, key=lambda module: module.count("."))
    return CloudOnly(name, (), {"__module__": place, "__doc__": f"Azure's: {instead}.", "_instead": instead})


@cache
def _modules() -> dict[str, dict[str, str]]:
    """What to do instead of each name, by full name of the module; with all parents of modules."""
    found: dict[str, dict[str, str]] = {}
    for instead, modules in TABLE.items():
        for module, names in modules.items():
            found.setdefault(f"{_ROOT}.{module}", {}).update(dict.fromkeys(names.split(), instead))
    for module in list(found):
        parent = module.rpartition(".")[0]
        while parent != _ROOT:
            found.setdefault(parent, {})
            parent = parent.rpartition(".")[0]
    return found


def _text(what: str, instead: str) -> str:
    return f"{what} is Azure's, and not here: {instead}"
