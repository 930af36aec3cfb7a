"""Local links: the lab gives each person an address that ends in `?id=NAME`, or everybody the same without one."""

from collections.abc import Mapping

from collection_app.platforms.visitor import Visitor


class LocalLink:
    """People who come by a link of the lab's own."""

    name = "local"

    def visitor(self, parameters: Mapping[str, str], arrival: str) -> Visitor:
        """Who is named by `id`; without one, every browser is somebody new."""
        return Visitor(parameters.get("id") or f"browser-{arrival}")

    def redirect(self, code: str) -> None:
        """Nowhere: the code is shown."""
        del code
