"""The network that a visitor comes from: what of an address counts as one place."""

from ipaddress import ip_address, ip_network


def block_of(address: str) -> str:
    """The 24 bits (IPv4) or 48 (IPv6) that one customer of a provider may have; what is no address stays as it is."""
    return _network(address, 24, 48)


def home_of(address: str) -> str:
    """The address itself; of IPv6 the 64 bits that a household has."""
    return _network(address, 32, 64)


def _network(address: str, bits_of_4: int, bits_of_6: int) -> str:
    try:
        parsed_address = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed_address.version == 6 and parsed_address.ipv4_mapped:
        parsed_address = parsed_address.ipv4_mapped
    bits = bits_of_4 if parsed_address.version == 4 else bits_of_6
    return str(ip_network(f"{parsed_address}/{bits}", strict=False))
