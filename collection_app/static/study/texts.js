/** Words that scripts put in: those of the catalogue in the study's language, which the document brings along. */

/** @type {Record<string, string>} */
const texts = JSON.parse(document.body.dataset.texts ?? "{}");

/**
 * A text of the catalogue by its name, with its {placeholders} filled in.
 *
 * @param {string} name
 * @param {Record<string, string | number>} values
 */
export function text(name, values = {}) {
  return texts[name].replace(/\{(\w+)\}/g, (_, key) => String(values[key]));
}

/**
 * Whether there is such a text.
 *
 * @param {string} name
 */
export const hasText = (name) => name in texts;
