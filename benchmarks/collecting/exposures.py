"""How long JND patches are really shown, by the compositor's clock: actual minus requested time.

    python benchmarks/collecting/exposures.py [--trials 60] [--milliseconds 250]

The study's own pages in Debian's chromium without a window, at 60 frames a second; the trials are shown by
static/study/display/frames.js, once by its frames and once by the baseline, setTimeout, with nothing else to do and
with the processor slowed down four times while the page works for 30 ms in every 100. Frames missed are counted by
the page.
"""

import argparse
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import CDPSession, Page, sync_playwright

# Both ways of timing an exposure, on one page. Each shows and hides a canvas, and times by frames what was done:
# setTimeout's change is seen with the next frame after it.
PAGE = """async ({ way, trials, ms, busy }) => {
  const { FrameClock, showSteps } = await import("/static/study/display/frames.js");
  const stop = new AbortController();
  const clock = new FrameClock();
  clock.start(stop.signal);
  const canvas = document.body.appendChild(document.createElement("canvas"));
  const context = canvas.getContext("2d");
  const draw = (shade) => { context.fillStyle = shade; context.fillRect(0, 0, 256, 256); };
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const nextFrame = () => new Promise((resolve) => { const off = clock.each((now) => { off(); resolve(now); }); });
  const work = setInterval(() => {
    for (const end = performance.now() + busy; performance.now() < end; );
  }, 100);
  if (!busy) clearInterval(work);
  await sleep(500);
  const found = [];
  for (let i = 0; i < trials; i += 1) {
    if (way === "frames") {
      const [dark, light] = [() => draw("black"), () => draw("white")];
      const steps = [{ draw: dark, ms: 100 }, { draw: light, ms }, { draw: dark }];
      const { onsets, dropped, period } = await showSteps(clock, steps);
      found.push([onsets[2] - onsets[1], dropped, period]);
    } else {
      await sleep(100);
      draw("white");
      const on = nextFrame();
      await sleep(ms);
      draw("black");
      found.push([(await nextFrame()) - (await on), 0, clock.period]);
    }
  }
  clearInterval(work);
  stop.abort();
  canvas.remove();
  return found;
}"""
BARS = " ▁▂▃▄▅▆▇█"


def measure(page: Page, devtools: CDPSession, *, way: str, slow: int, trials: int, ms: float) -> np.ndarray:
    """Exposures in ms, frames missed and the period of each trial, shape (trials, 3)."""
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": slow})
    asked = {"way": way, "trials": trials, "ms": ms, "busy": 0 if slow == 1 else 30}
    found = np.array(page.evaluate(PAGE, asked), float)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    return found


def histogram(errors: np.ndarray, frame: float) -> str:
    """Errors in frames from -3 to 3 as bars, three a frame."""
    counts, _ = np.histogram(np.clip(errors / frame, -3, 3), bins=18, range=(-3, 3))
    return "".join(BARS[-(-int(count) * 8 // max(counts.max(), 1))] for count in counts)


def with_pages(work: Callable[[Page], Any]) -> Any:
    """Do something with a page of a study that is served from a temporary folder."""
    from collection_app import create_app
    from collection_app.database.connections import migrate, open_database, write
    from collection_app.server.serving import served
    from collection_app.settings import Settings
    from collection_app.studies.installation import install
    from collection_app.studies.presets import preset

    with tempfile.TemporaryDirectory() as folder:
        study = preset("paper-jnd", training={}, sentinels={})
        engine = open_database(f"sqlite:///{folder}/study.sqlite")
        migrate(engine)
        write(engine, lambda c: install(c, study, [], folder=Path(folder)))
        app = create_app(study, engine, key="k" * 40)
        with served(app, Settings(port=0)) as address, sync_playwright() as playwright:
            found = shutil.which("chromium")
            browser = playwright.chromium.launch(
                executable_path=found, args=["--no-sandbox", "--disable-background-networking", "--no-first-run"]
            )
            page = browser.new_page()
            page.goto(address)
            result = work(page)
            browser.close()
        engine.dispose()
        return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--milliseconds", type=float, default=250)
    given = parser.parse_args()

    def work(page: Page) -> None:
        devtools = page.context.new_cdp_session(page)
        print(f"{given.trials} exposures of {given.milliseconds:g} ms each; errors in ms, bars from -3 to 3 frames")
        print("way        processor   mean     sd    worst  beyond 1.5 frames  frames missed  histogram")
        for slow in (1, 4):
            worst = {}
            for way in ("setTimeout", "frames"):
                times, missed, periods = measure(
                    page, devtools, way=way, slow=slow, trials=given.trials, ms=given.milliseconds
                ).T
                frame = float(np.median(periods))
                errors = times - given.milliseconds
                bad = int((np.abs(errors) > 1.5 * frame).sum())
                worst[way] = errors.std()
                counted = str(int(missed.sum())) if way == "frames" else "-"
                name = "idle" if slow == 1 else f"{slow}x slower"
                row = f"{errors.mean():6.2f} {errors.std():6.2f} {np.abs(errors).max():8.2f} {bad:12d} {counted:>18}"
                print(f"{way:10} {name:10} {row}     |{histogram(errors, frame)}|")
            ratio = worst["setTimeout"] / max(worst["frames"], 1e-3)
            print(f"           spread of setTimeout against frames: {ratio:.1f} to 1")

    with_pages(work)


if __name__ == "__main__":
    main()
