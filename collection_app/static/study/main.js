/** The way through the study: consent, device check, instructions, comprehension check, trials, end.
 *
 * The server knows how far a session is; this browser keeps what comes before its start, and answers that wait.
 */

import { Api, Problem, patiently } from "./delivery/api.js";
import { keepEnd, keptEnd } from "./delivery/ended.js";
import { Queue } from "./delivery/queue.js";
import { openStore, randomHex } from "./delivery/store.js";
import { takeStudy } from "./delivery/tabs.js";
import { Attention, isMagnified } from "./display/attention.js";
import { describe, differs, faults, watchFrames } from "./display/device.js";
import { FrameClock } from "./display/frames.js";
import { Images } from "./display/images.js";
import { Stage } from "./display/stage.js";
import { drawExamples } from "./examples.js";
import { saveReceipt } from "./receipt.js";
import { measureStage, modesOf, showDevice } from "./screen.js";
import { text } from "./texts.js";
import { Trials } from "./trials.js";
import { by, clicked, progress, say, show, showEnd, showProblem, submitted, trialView, waiting } from "./view.js";

const { person = "", contact = "" } = document.body.dataset;
const WAITS = ["asking", "unchecked"]; // of which people are told in words of their own
const COME_AGAIN_MS = 10_000;
const FLUSH_MS = 3000; // how long to wait for answers under way before a withdrawal

const here = new AbortController(); // aborts when this page has nothing more to do: ended, or another tab took over
const api = new Api();
const clock = new FrameClock();
/** @type {import("./trials.js").Task} */
let task;
/** @type {SessionState} */
let session;
/** @type {Record<string, string>} */
let parameters;
/** @type {import("./delivery/store.js").Store} */
let store;
/** @type {Queue} */
let queue;
/** @type {Stage} */
let stage;
/** @type {Attention} */
let attention;

/**
 * @param {boolean} is
 * @param {string} [why]
 */
const unreachable = (is, why = "") => {
  by("unreachable").hidden = !is;
  by("unreachable").textContent = text(`problem.${WAITS.includes(why) ? why : "unreachable"}`);
};
/** @type {<T>(work: () => Promise<T>) => Promise<T>} */
const ask = (work) => patiently(work, unreachable, here.signal);
/** @param {number} ms */
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Lead a person through the study; its task's script calls this once, with what is the task's own.
 *
 * - `show({stage, clock, attention, buttons, ask, bitmaps, exposure, signal})` shows a trial, waits for the choice, and
 *   gives the columns of an answer that it measures.
 * - `layouts` are the ways to lay out its patches, [columns, rows] by the name that the style sheet knows.
 * - `inPlace`: whether it can show them at one spot too, one at a time.
 * - `timed`: whether patches are shown for a set time, so that the screen's frames matter.
 *
 * @param {import("./trials.js").Task} own
 */
export function takePart(own) {
  task = own;
  main().catch(fail);
}

/** Whether the address is right cannot be told now: say so, and ask for the page again, not all at the same moment. */
function comeAgain() {
  showProblem("unchecked");
  setTimeout(() => location.reload(), COME_AGAIN_MS * (0.75 + Math.random() / 2));
}

async function main() {
  if ("lacking" in document.body.dataset) return; // see support.js, which tells the person
  show("loading");
  if ("refused" in document.body.dataset) return showProblem("parameters");
  if ("unchecked" in document.body.dataset) return comeAgain();
  if ("preview" in document.body.dataset) return showPreview();
  const seen = keptEnd(person);
  if (seen) return end(seen);
  store = await openStore(person);
  takeStudy(person, rest);
  const kept = await store.kept();
  const { key } = kept.key ? kept : await store.keep({ key: randomHex(16) });
  parameters = Object.fromEntries(new URLSearchParams(location.search));
  const browser = await store.browser();
  session = await ask(() => api.arrive(key, parameters, browser));
  if (session.outcome) return end();

  queue = new Queue(store, api);
  queue.addEventListener("change", () => waiting(queue, contact));
  queue.addEventListener("over", () => ended().catch(fail), { once: true });
  queue.start();
  by("stuck-save").addEventListener("click", () => saveReceipt(session, store));
  by("withdraw").hidden = false;
  by("withdraw").addEventListener("click", withdrawal);
  attention = new Attention(here.signal);
  clock.start(here.signal);
  const { size, layout: wanted } = session.display;
  const movable = !task.timed; // of what is there for a moment nobody could see more than a part
  const mode = task.inPlace ? wanted : "side-by-side";
  stage = new Stage(by("stage"), { layouts: task.layouts, size, wanted: mode, movable });
  stage.onChange(() => attention.spoil());
  stage.onChange(() => clock.forget());
  if (kept.withdrawing) return withdraw(kept.withdrawing);
  if (session.state === "arrived") await prepare(kept);
  else await welcome();
  await measureStage(stage, session.display.largest); // so that keys mean the same from the first trial on
  if (!session.outcome) await judge(session.answered ? "again" : "");
  end();
}

/**
 * Everything before the first trial; a reload comes back to the step it was at.
 *
 * @param {Record<string, any>} kept
 */
async function prepare(kept) {
  let { at = "consent", consent } = kept;
  if (consent?.sha256 !== session.consent_sha256) at = "consent";
  /** @type {Record<string, () => Promise<number | void>>} */
  const steps = { consent: giveConsent, device: checkDevice, instructions: instruct, check: comprehend };
  const order = ["consent", "device", "instructions", "check"];
  if (at === "consent") await findRoom();
  here.signal.throwIfAborted();
  for (let i = order.indexOf(at); i < order.length; ) {
    await store.keep({ at: order[i] });
    i += (await steps[order[i]]()) ?? 1;
    here.signal.throwIfAborted();
  }
  const found = await store.kept();
  const start = { consent_sha256: found.consent.sha256, consented_at: found.consent.at, device: found.device ?? {} };
  session = await ask(() => api.post("/api/start", start));
}

/** Before anything is asked: whoever's window has no room for the pictures is told, with the size that it needs. */
async function findRoom() {
  for (;;) {
    const { room } = await measureStage(stage, session.display.largest);
    if (room.fits) return;
    show("device");
    showDevice({ room, wrong: ["small"], leastHz: session.display.least_hz });
    if ((await clicked("device-again", "device-leave")) === "device-leave") return withdraw("unsuitable_device");
  }
}

async function giveConsent() {
  show("consent");
  const answer = await Promise.race([submitted("consent"), clicked("decline")]);
  if (answer === "decline") return withdraw("no_consent");
  await store.keep({ consent: { sha256: session.consent_sha256, at: Date.now() } });
}

async function checkDevice() {
  for (;;) {
    show("device");
    by("device-verdict").className = "notice";
    say("device-verdict", "device.running");
    by("device-next").disabled = true;
    by("device-again").hidden = by("device-leave").hidden = by("device-advice").hidden = true;
    const frames = await watchFrames(clock);
    const { room, exact } = await measureStage(stage, session.display.largest);
    const found = describe({ frames, room, exact, lasting: store.lasting });
    const { least_hz: leastHz } = session.display;
    const wrong = faults({
      timed: task.timed,
      fits: room.fits,
      magnified: isMagnified(),
      hz: frames.hz,
      missed: frames.missed,
      leastHz,
    });
    showDevice({ room, frames, wrong, leastHz });
    const pressed = await clicked("device-next", "device-again", "device-leave");
    if (pressed === "device-leave") return withdraw("unsuitable_device");
    if (pressed === "device-next") {
      await store.keep({ device: found });
      return;
    }
  }
}

async function instruct() {
  /** @type {NodeListOf<HTMLElement>} */
  const ofLayouts = document.querySelectorAll("[data-of-layout]");
  const modes = await modesOf(stage, session.display.largest);
  for (const part of ofLayouts) part.hidden = !modes.has(part.dataset.ofLayout ?? "");
  show("instructions");
  drawExamples(here.signal);
  await clicked("instructions-next");
}

async function comprehend() {
  const check = session.comprehension;
  if (!check || check.passed) return;
  show("check");
  by("check-wrong").hidden = check.tries_left > 1;
  const answer = await Promise.race([submitted("check"), clicked("check-reread")]);
  if (typeof answer === "string") return -1; // to read again
  const choices = check.questions.map((_, i) => Number(answer.get(`question-${i + 1}`)));
  session = await ask(() => api.post("/api/comprehension", { choices }));
  if (session.outcome) return end();
  return session.comprehension?.passed ? 1 : -1;
}

async function welcome() {
  progress(session.answered, session.trials);
  say("welcome-text", "welcome.text", { done: session.answered, total: session.trials });
  show("welcome");
  await clicked("welcome-next");
}

/**
 * Trials until none is left, then the end of the session.
 *
 * @param {string} first
 */
async function judge(first) {
  const images = new Images(studyAnswers);
  const { exposure } = session;
  const leastLookMs = session.display.least_look_ms;
  /** @param {number} slot */
  const spoil = (slot) => ask(() => api.post("/api/spoiled", { slots: [slot] }));
  const display = { changed: await sinceCheck(), check: checkAgain };
  const at = { task, exposure, leastLookMs, stage, clock, attention, images, queue, display, view: trialView, spoil };
  const trials = new Trials(at);
  stage.follow(here.signal);
  for (let round = 0; ; round += 1) {
    const { trials: open } = await ask(() => api.get("/api/trials?limit=1000"));
    const kept = new Set((await store.answers()).map(({ sent }) => `${sent.slot}/${sent.attempt}`));
    const left = open.filter((/** @type {Trial} */ { slot, attempt }) => !kept.has(`${slot}/${attempt}`));
    let remaining = left.length;
    const tell = () => progress(Math.max(0, session.trials - remaining), session.trials);
    if (left.length) {
      tell();
      show("trials");
      await trials.run(left, {
        first: round ? "" : first,
        signal: here.signal,
        done: () => {
          remaining -= 1;
          tell();
        },
      });
    }
    await delivered();
    if (open.length) continue; // perhaps some have to be shown once more
    try {
      session = await ask(() => api.post("/api/finish"));
      return;
    } catch (problem) {
      if (!(problem instanceof Problem) || problem.status !== 409) throw problem;
      session = await ask(() => api.get("/api/session"));
      if (session.outcome) return;
      await sleep(1000);
    }
  }
}

async function studyAnswers() {
  try {
    return Boolean(await api.get("/api/session"));
  } catch {
    return false;
  }
}

/** Gives what tells whether the display has changed since it was last checked: never, where that is not known. */
async function sinceCheck() {
  let { device } = await store.kept();
  return async () => {
    const hz = task.timed ? 1000 / clock.period : NaN;
    if (!device || !differs(device, hz)) return false;
    ({ device } = await store.kept()); // perhaps it was checked since
    return !device || differs(device, hz);
  };
}

/** Check the display again in the middle of a session, tell the server, and go back to the trials. */
async function checkAgain() {
  await checkDevice();
  here.signal.throwIfAborted();
  const { device } = await store.kept();
  await ask(() => api.post("/api/device", { device }));
  attention.left = true; // asks before the next trial
  show("trials");
  stage.fit();
}

/** Wait until the server has every answer; say so where it takes a while. */
async function delivered() {
  const slow = setTimeout(() => show("sending"), 500);
  await queue.drained();
  clearTimeout(slow);
}

function withdrawal() {
  attention.spoil();
  attention.left = true;
  by("withdraw-dialog").showModal();
  by("withdraw-back").onclick = () => by("withdraw-dialog").close();
  by("withdraw-confirm").onclick = () => {
    by("withdraw-confirm").disabled = true;
    say("withdraw-confirm", "withdraw.sending");
    withdraw("withdrawn").catch(fail);
  };
}

/**
 * End the session without its answers; those under way go first, since they count for pay.
 *
 * @param {string} reason
 */
async function withdraw(reason) {
  await store.keep({ withdrawing: reason });
  await Promise.race([queue.drained(), sleep(FLUSH_MS)]);
  // Of who declines the server keeps nothing, not even where to lead them back to.
  const told = reason === "no_consent" ? { reason, parameters } : { reason };
  session = await ask(() => api.post("/api/withdraw", told));
  by("withdraw-dialog").close();
  end();
}

/**
 * Nothing is left to send: the server takes no answers of a session that has ended.
 *
 * @param {import("./delivery/ended.js").End} how
 */
function end(how = session) {
  here.abort(new Ended());
  queue?.stop();
  keepEnd(person, how);
  showEnd(how);
  store?.forget();
}

/** The server has ended the session, since its answers went bad one after another. */
async function ended() {
  session = await ask(() => api.get("/api/session"));
  if (session.outcome) end();
}

/** Another tab has taken over. */
function rest() {
  here.abort(new Ended());
  queue?.stop();
  by("withdraw-dialog").close();
  by("withdraw").hidden = by("progress").hidden = true;
  by("inactive-here").addEventListener("click", () => location.reload());
  show("inactive");
}

function showPreview() {
  by("preview").hidden = false;
  for (const control of by("consent").elements) control.disabled = true;
  show("consent");
}

class Ended extends Error {}

/** @param {any} problem */
function fail(problem) {
  if (problem instanceof Ended || here.signal.aborted) return;
  queue?.stop();
  showProblem(problem.name, problem instanceof Problem ? problem.message : text("problem.other"));
  if (!(problem instanceof Problem)) throw problem;
}
