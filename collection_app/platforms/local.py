"""Local links: the lab gives each person an address that ends in `?id=NAME`, or everybody the same without one."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from collection_app.platforms.platform import Ended, Platform, Visitor, Vouching


class Local(Platform, frozen=True):
    """People who come by a link of the lab's own; at the end they see their code."""

    name: Literal["local"] = Field(default="local", description="a link of the lab's own, with or without `?id=NAME`")

    def visitor(self, parameters: Mapping[str, str], arrival: str) -> Visitor:
        """Who is named by `id`; without one, every browser is somebody new."""
        return Visitor(parameters.get("id") or f"browser-{arrival}")

    def vouching(self, token: str) -> Vouching:
        """The lab: rooms and campuses share addresses, and nothing is paid through a panel."""
        del token
        return "lab"

    def departure(self, ended: Ended) -> None:
        """Nowhere: the code is shown."""
        del ended
