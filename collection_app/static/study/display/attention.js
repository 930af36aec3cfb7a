/** Whether somebody could see what was shown: the page in front, in focus, its pixels where they were. */

export class Attention {
  lost = false; // since `begin`
  left = false; // since `back`: whether to ask before the next trial

  /** @param {AbortSignal} signal */
  constructor(signal) {
    const lose = () => (this.lost = this.left = true);
    addEventListener("blur", lose, { signal });
    document.addEventListener("visibilitychange", () => document.hidden && lose(), { signal });
  }

  /** What is shown from now on is watched. */
  begin() {
    this.lost = document.hidden || !document.hasFocus();
  }

  /** Something else than leaving spoilt what is shown, such as a dialog over it or a change of zoom. */
  spoil() {
    this.lost = true;
  }

  /** The person says they are here. */
  back() {
    this.left = false;
  }
}

/** Whether two fingers have magnified the page, so that the browser resamples it. */
export const isMagnified = () => Math.abs((visualViewport?.scale ?? 1) - 1) > 0.001;
