"""The overview keeps itself fresh, and never goes back in time."""

import re
from collections.abc import Callable
from itertools import chain, repeat
from pathlib import Path

from playwright.sync_api import Browser, Route

from bapps_builder.patch_sets.patch_set import PatchSet
from collection_app import create_app
from collection_app.admin.passwords import password_hash
from collection_app.database.connections import migrate, open_database, write
from collection_app.server.serving import served
from collection_app.settings import Settings
from collection_app.studies.installation import install
from collection_app.studies.presets import preset

PASSWORD = "correct horse battery staple"
WATCH = """() => {
  window.shown = [];
  const part = document.querySelector(".asof [data-live]");
  const note = () => {
    const time = part.querySelector("time").textContent.at(-1);
    if (time !== shown.at(-1)) shown.push(time);
  };
  new MutationObserver(note).observe(part, { childList: true });
}"""
AS_OF = re.compile(r"As of <time>[^<]*</time>")


def test_newer_figures_take_the_place_of_older_ones(
    chromium: Browser, tmp_path: Path, make_set: Callable[..., PatchSet]
) -> None:
    study, patches = preset("paper-2afc"), make_set(tmp_path / "patches", count=12)
    engine = open_database(f"sqlite:///{tmp_path}/study.sqlite")
    migrate(engine)
    write(engine, lambda c: install(c, study, [patches], folder=tmp_path / "images"))
    settings = Settings(port=0, rehearsal=True)
    app = create_app(study, engine, key="k" * 40, settings=settings, password_hash=password_hash(PASSWORD))
    with served(app, settings) as address:
        page = chromium.new_page()
        page.clock.install()
        page.goto(f"{address}/admin/login")
        page.fill("[name=password]", PASSWORD)
        page.press("[name=password]", "Enter")
        page.wait_for_selector("[data-pause]:visible")
        page.evaluate(WATCH)
        # The second is of a process that summed up before another. The page's clock runs on too, so it may ask again.
        seconds = chain([2, 1], repeat(3))

        def later(route: Route) -> None:
            time = f"As of <time>2999-01-01 00:00:0{next(seconds)}</time>"
            route.fulfill(body=AS_OF.sub(time, route.fetch().text()))

        page.route("**/admin/", later)
        for _ in range(2):
            with page.expect_response("**/admin/"):
                page.clock.run_for(5000)
        page.clock.run_for(5000)
        page.wait_for_function("() => shown.includes('3')")
        assert "".join(page.evaluate("() => shown")) == "23"
        page.close()
    engine.dispose()
