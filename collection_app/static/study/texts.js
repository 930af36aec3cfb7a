/** Words that scripts put in: those of the catalogue in the study's language, which the document brings along. */

const texts = JSON.parse(document.body.dataset.texts);

/** A text of the catalogue by its name, with its {placeholders} filled in. */
export function text(name, values = {}) {
  return texts[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

/** Whether there is such a text. */
export const hasText = (name) => name in texts;
