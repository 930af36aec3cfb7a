/** Signals that abort, for browsers without AbortSignal.any (Safari before 17.4, Firefox before 124). */

/**
 * A signal that aborts as soon as one of some does, with its reason.
 *
 * @param {AbortSignal[]} signals
 */
export function either(...signals) {
  const both = new AbortController();
  for (const signal of signals) {
    if (signal.aborted) both.abort(signal.reason);
    else signal.addEventListener("abort", () => both.abort(signal.reason), { signal: both.signal });
  }
  return both.signal;
}
