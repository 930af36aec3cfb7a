"""The overview keeps itself fresh, and never goes back in time."""

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Route

from bapps_builder.patchset import PatchSet
from collection_app import create_app
from collection_app.database import migrate, open_database, write
from collection_app.installation import install
from collection_app.passwords import password_hash
from collection_app.presets import preset
from collection_app.serving import served
from collection_app.settings import Settings

PASSWORD = "correct horse battery staple"
WATCH = """() => {
  window.shown = [];
  const part = document.querySelector(".asof [data-live]");
  const note = () => shown.push(part.querySelector("time").textContent);
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
        second = iter([2, 1, 3])  # the second one is of a process that summed up before another

        def later(route: Route) -> None:
            time = f"As of <time>2999-01-01 00:00:0{next(second)}</time>"
            route.fulfill(body=AS_OF.sub(time, route.fetch().text()))

        page.route("**/admin/", later)
        page.clock.run_for(5000)
        page.wait_for_function("() => shown.at(-1)?.endsWith('2')")
        with page.expect_response("**/admin/"):
            page.clock.run_for(5000)
        page.clock.run_for(5000)
        page.wait_for_function("() => shown.at(-1)?.endsWith('3')")
        assert [time[-1] for time in page.evaluate("() => shown")] == ["2", "3"]
        page.close()
    engine.dispose()
