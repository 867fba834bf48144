"""Which hosts a list of them names: what the egress rule and redirects ahead of the model are held to."""


def is_listed(host: str, hosts: tuple[str, ...]) -> bool:
    """`hosts`: as `speculation.network.NAME.hosts` has them, in full, `*.example.com` or `*`."""
    if not host:
        return False
    return any(
        one == "*" or host == one.lower() or (one.startswith("*.") and host.endswith(one[1:].lower()))
        for one in hosts
    )
