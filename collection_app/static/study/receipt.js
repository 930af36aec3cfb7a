/** The receipt of answers that cannot be delivered: the session, signed by the server, and the answers in full. */

import { text } from "./texts.js";
import { by } from "./view.js";

/**
 * Let the person save it.
 *
 * @param {SessionState} session
 * @param {import("./delivery/store.js").Store} store
 */
export async function saveReceipt(session, store) {
  const answers = (await store.answers()).map(({ sent }) => sent);
  const content = {
    format: 1,
    title: session.title,
    contact: session.contact,
    made_at: Date.now(),
    proof: session.proof,
    answers,
  };
  const file = new Blob([JSON.stringify(content, null, 1)], { type: "application/json" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = text("stuck.file");
  by("stuck").append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
