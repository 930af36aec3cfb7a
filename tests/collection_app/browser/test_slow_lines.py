"""Who waits for pictures on a slow line is told so, once and politely, and sees how much of them has come."""

from collections.abc import Callable
from typing import Any

SIDE = 512
TRIAL = 3 * 3 * SIDE**2  # bytes of the pictures of one
FETCHING = """() => {
  const [line, prompt] = [document.getElementById("fetching"), document.getElementById("prompt")];
  return { shown: line.checkVisibility(), share: line.value, said: prompt.textContent, role: prompt.role };
}"""
# Every time the line comes from now on, and every text that the prompt says.
WATCH = """() => {
  const [line, prompt] = [document.getElementById("fetching"), document.getElementById("prompt")];
  globalThis.seen = { shown: 0, said: [] };
  new MutationObserver(() => { if (!line.hidden) seen.shown += 1; }).observe(line, { attributes: true });
  new MutationObserver(() => seen.said.push(prompt.textContent)).observe(prompt, { childList: true });
}"""


def test_a_line_grows_while_pictures_come(study: Callable[..., Any], person: Callable[..., Any]) -> None:
    display = {"layout": "in-place"}
    found = study("2afc", sizes=((SIDE, SIDE),), display=display, training={}, sentinels={"rules": []})
    somebody = person(f"{found.address}/?id=patient", viewport={"width": 1280, "height": 720})
    somebody.until("instructions")
    page = somebody.page
    page.evaluate(WATCH)
    devtools = page.context.new_cdp_session(page)
    line = {"offline": False, "latency": 0, "uploadThroughput": -1}
    devtools.send("Network.enable")
    devtools.send("Network.emulateNetworkConditions", {**line, "downloadThroughput": TRIAL / 4})
    somebody.until("gate")
    somebody.press("#gate-go")
    page.wait_for_selector("#fetching:visible")
    shares = set()
    while (at := page.evaluate(FETCHING))["shown"]:
        shares.add(at["share"])
        assert (at["said"], at["role"]) == ("Fetching the next pictures …", "status")
        if len(shares) == 4:
            break
        page.wait_for_timeout(50)
    assert min(shares) < 0.5
    assert len(shares) == 4  # it grew as they came
    devtools.send("Network.emulateNetworkConditions", {**line, "downloadThroughput": -1})
    somebody.state("look")
    assert not page.evaluate(FETCHING)["shown"]
    said = page.evaluate("seen.said")
    assert said.count("Fetching the next pictures …") == 1
    # Where pictures are there already nobody is told anything.
    page.wait_for_timeout(1000)
    shown = page.evaluate("seen.shown")
    somebody.until("question")
    somebody.choose()
    somebody.state("look")
    assert page.evaluate("seen.shown") == shown
