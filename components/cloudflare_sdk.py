"""The three resource classes of the Cloudflare SDK that this program declares, without the other 780 modules.

`import pulumi_cloudflare` executes one module for each resource that Cloudflare has, some two seconds of CPU in every
engine command. Here the package comes first, as an object that knows its path but has executed nothing, and only the
modules that hold our classes are imported into it. Whoever asks that object for anything else, in this process,
gets the whole SDK after all; and where the SDK is laid out differently from what is expected, it is imported plainly.

Those modules need two more, the argument and result types of all resources: 12 MB of generated source, 3,000 classes, one
second of CPU. Of these only the definitions that belong to our classes are executed, cut out of the SDK's own source.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from importlib.abc import Loader
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pulumi_cloudflare import DnsRecord, ZeroTrustTunnelCloudflared, ZeroTrustTunnelCloudflaredConfig
    from pulumi_cloudflare._utilities import get_version

__all__ = ["DnsRecord", "ZeroTrustTunnelCloudflared", "ZeroTrustTunnelCloudflaredConfig", "get_version"]

_PACKAGE = "pulumi_cloudflare"
_HOMES = {
    "DnsRecord": "dns_record",
    "ZeroTrustTunnelCloudflared": "zero_trust_tunnel_cloudflared",
    "ZeroTrustTunnelCloudflaredConfig": "zero_trust_tunnel_cloudflared_config",
    "get_version": "_utilities",
}
"""Name and the module of the SDK that defines it."""
_TYPES = ("_inputs", "outputs")
"""The modules of the SDK that hold the types of what a resource takes and gives."""
_OWNERS = (b"DnsRecord", b"ZeroTrustTunnelCloudflared")
"""How the names of those types begin: Pulumi names a nested type after its resource and property."""


def _wanted() -> dict[str, Any]:
    """Our names and what the SDK has under them."""
    if _PACKAGE not in sys.modules:
        try:
            return _from_their_own_modules()
        except (ImportError, AttributeError):
            # Another layout than 6.x: nothing half-imported may stay.
            for name in [name for name in sys.modules if name.partition(".")[0] == _PACKAGE]:
                del sys.modules[name]
    package = importlib.import_module(_PACKAGE)
    return {
        name: getattr(package._utilities if module == "_utilities" else package, name)
        for name, module in _HOMES.items()
    }


def _from_their_own_modules() -> dict[str, Any]:
    """Raises ImportError or AttributeError where the SDK has another layout."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.loader is None or not spec.submodule_search_locations:
        raise ImportError(_PACKAGE)
    package = importlib.util.module_from_spec(spec)
    sys.modules[_PACKAGE] = package
    for module in _TYPES:
        _import_part(f"{_PACKAGE}.{module}")
    found = {name: getattr(importlib.import_module(f"{_PACKAGE}.{module}"), name) for name, module in _HOMES.items()}
    # A function in a module's namespace answers for the names that it lacks (PEP 562).
    package.__getattr__ = _Rest(package, spec.loader)  # type: ignore[method-assign]
    return found


def _import_part(name: str) -> None:
    """Import of a module of types what our classes need; any other name asked of it executes the rest as well.

    Raises ImportError where the module is not made of top-level classes, or lacks one that it announces.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or not isinstance(spec.loader, SourceFileLoader) or spec.origin is None:
        raise ImportError(name)
    head, announced, body = _parts(spec.loader.get_data(spec.origin))
    kept = list(_definitions(body))
    names = [definition.partition(b"class ")[2].partition(b"(")[0].partition(b":")[0] for definition in kept]
    if not kept or sorted(names) != sorted(word for word in announced if word.startswith(_OWNERS)):
        raise ImportError(f"{name} is laid out in another way")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    setattr(sys.modules[_PACKAGE], name.rpartition(".")[2], module)
    exec(compile(head + b"".join(kept), spec.origin, "exec"), module.__dict__)  # noqa: S102 - the SDK's own source
    module.__dict__["__all__"] = [word.decode() for word in names]
    module.__getattr__ = _Rest(module, spec.loader)  # type: ignore[method-assign]


def _parts(source: bytes) -> tuple[bytes, list[bytes], bytes]:
    """What stands before the list of names, the names, and what follows."""
    head, _, rest = source.partition(b"\n__all__ = [\n")
    announced, _, body = rest.partition(b"\n]\n")
    return head, [line.strip(b" ',") for line in announced.split(b"\n")], body


def _definitions(body: bytes) -> Iterator[bytes]:
    """The top-level classes of our resources, each with its decorator, in the order of the source."""
    starts = sorted(_found(body, *(b"\nclass " + owner for owner in _OWNERS)))
    for start in starts:
        before = body.rfind(b"\n", 0, start)
        decorated = body.startswith(b"\n@", before)
        # One word after the other, each only up to the one before: the nearest class is near, and the file long.
        end = len(body)
        for word in (b"\nclass ", b"\n@", b"\nif "):
            found = body.find(word, start + 1, end)
            end = found if found >= 0 else end
        yield body[before if decorated else start : end] + b"\n"


def _found(text: bytes, *words: bytes) -> Iterator[int]:
    for word in words:
        at = text.find(word)
        while at >= 0:
            yield at
            at = text.find(word, at + 1)


class _Rest:
    """Executes the module itself when somebody needs more of it than its first parts."""

    def __init__(self, module: ModuleType, loader: Loader) -> None:
        self._module = module
        self._loader = loader

    def __call__(self, name: str) -> Any:
        # The import machinery looks for such names by itself, and they are no reason to load everything.
        if name.startswith("__"):
            raise AttributeError(name)
        self.execute()
        return getattr(self._module, name)

    def execute(self) -> None:
        """The whole module, once; a package's modules of types before it, since the others take theirs from them."""
        del self._module.__getattr__
        for part in _TYPES:
            rest = getattr(sys.modules.get(f"{self._module.__name__}.{part}"), "__getattr__", None)
            if isinstance(rest, _Rest):
                rest.execute()
        self._loader.exec_module(self._module)


if not TYPE_CHECKING:
    _sdk = _wanted()
    DnsRecord = _sdk["DnsRecord"]
    ZeroTrustTunnelCloudflared = _sdk["ZeroTrustTunnelCloudflared"]
    ZeroTrustTunnelCloudflaredConfig = _sdk["ZeroTrustTunnelCloudflaredConfig"]
    get_version = _sdk["get_version"]
