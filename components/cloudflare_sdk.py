"""The three resource classes of the Cloudflare SDK that this program declares, without the other 780 modules.

`import pulumi_cloudflare` executes one module for each resource that Cloudflare has, some two seconds of CPU in every
engine command. Here the package comes first, as an object that knows its path but has executed nothing, and only the
modules that hold our classes are imported into it. Whoever asks that object for anything else, in this process,
gets the whole SDK after all; and where the SDK is laid out differently from what is expected, it is imported plainly.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.abc import Loader
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
    found = {name: getattr(importlib.import_module(f"{_PACKAGE}.{module}"), name) for name, module in _HOMES.items()}
    # A function in a module's namespace answers for the names that it lacks (PEP 562).
    package.__getattr__ = _Rest(package, spec.loader)  # type: ignore[method-assign]
    return found


class _Rest:
    """Executes the package itself when somebody needs more of it than its first modules."""

    def __init__(self, package: ModuleType, loader: Loader) -> None:
        self._package = package
        self._loader = loader

    def __call__(self, name: str) -> Any:
        # The import machinery looks for such names by itself, and they are no reason to load everything.
        if name.startswith("__"):
            raise AttributeError(name)
        del self._package.__getattr__
        self._loader.exec_module(self._package)
        return getattr(self._package, name)


if not TYPE_CHECKING:
    _sdk = _wanted()
    DnsRecord = _sdk["DnsRecord"]
    ZeroTrustTunnelCloudflared = _sdk["ZeroTrustTunnelCloudflared"]
    ZeroTrustTunnelCloudflaredConfig = _sdk["ZeroTrustTunnelCloudflaredConfig"]
    get_version = _sdk["get_version"]
