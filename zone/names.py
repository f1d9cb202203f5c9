"""Host names: relative to their zone (RFC 1034 section 3.1), without case and trailing dot, IDNs as A-labels."""

from ipaddress import ip_address

import idna

_TUNNELS = "cfargotunnel.com"


def canonical(name: str) -> str:
    """The name in lower case without its trailing dot."""
    return name.rstrip(".").lower()


def is_within(name: str, zone: str) -> bool:
    """Whether `name` is the apex of `zone` or below it."""
    name, zone = canonical(name), canonical(zone)
    return name == zone or name.endswith(f".{zone}")


def labels_below(name: str, zone: str) -> list[str]:
    """The labels of a name that lies in the zone, without the zone's own."""
    return [label for label in canonical(name).removesuffix(canonical(zone)).split(".") if label]


def host_beside(prefix: str, domain: str, zone: str) -> str:
    """A host for the domain, one level below the zone: Universal SSL's certificates cover no more than that.

    `api` and `dev.agents.example` make `api-dev.agents.example`; without a zone it is a host below the domain.
    """
    if not zone:
        return f"{prefix}.{domain}"
    return "-".join([prefix, *labels_below(domain, zone)]) + f".{zone}"


def u_labels(name: str) -> str:
    """The canonical name with international labels in Unicode; a label that has no such form stays as it is."""
    labels = []
    for label in canonical(name).split("."):
        try:
            labels.append(idna.decode(label) if label.startswith("xn--") else label)
        except idna.IDNAError:
            labels.append(label)
    return ".".join(labels)


def a_labels(name: str) -> str:
    """The canonical name with every label in ASCII (RFC 5891); an ASCII name only loses case and trailing dot.

    Raises ValueError for a name that has no such form.
    """
    bare = canonical(name)
    if bare.isascii():
        return bare
    try:
        return idna.encode(bare, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError(f"{name!r} is no international domain name: {error}") from None


def tunnel_host(tunnel_id: str) -> str:
    """The name that a CNAME to a Cloudflare Tunnel has as its target."""
    return f"{tunnel_id}.{_TUNNELS}"


def is_tunnel_host(name: str) -> bool:
    """Whether it is below the domain of Cloudflare's tunnels."""
    return is_within(name, _TUNNELS)


def tunnel_id_of(name: str) -> str:
    """The tunnel behind a `tunnel_host`."""
    return canonical(name).removesuffix(f".{_TUNNELS}")


def is_loopback_host(host: str) -> bool:
    """Whether a URL's host is this machine: a loopback address, `localhost` or a name below it (RFC 6761, 6.3)."""
    name = canonical(host).strip("[]")
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
