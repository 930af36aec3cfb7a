/** What the pages may use: the syntax and methods of ES2022 that Safari 15.4, Firefox 102 and Chromium 100 have, and
 * the interfaces of the browsers that the command in package.json names. */

import compat from "eslint-plugin-compat";
import es from "eslint-plugin-es-x";

const scripts = ["collection_app/**/*.js"];

export default [
  {
    files: scripts,
    languageOptions: { ecmaVersion: "latest", sourceType: "module" },
    plugins: { compat, "es-x": es },
    // Without types, a method of this name may be anybody's; here it is an array's or a signal's.
    settings: { "es-x": { aggressive: true }, lintAllEsApis: true, polyfills: [] },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      ...es.configs["flat/restrict-to-es2022"].rules,
      "es-x/no-resizable-and-growable-arraybuffers": "off", // takes our own `resize` for it
      "compat/compat": "error",
      // Of ES2022, but Safari has them since 16.4 alone.
      "es-x/no-class-static-block": "error",
      "es-x/no-regexp-lookbehind-assertions": "error",
      "no-restricted-properties": [
        "error",
        { object: "AbortSignal", property: "any", message: "Safari 17.4, Firefox 124; see signals.js" },
        { object: "AbortSignal", property: "timeout", message: "Safari 16, Chromium 103; see api.js" },
        { object: "Array", property: "fromAsync", message: "Chromium 121" },
      ],
      "no-restricted-syntax": [
        "error",
        // Methods of objects, which the linter cannot tell by their names alone.
        ...Object.entries({
          requestIdleCallback: "Safari has none",
          showPicker: "Safari 16",
          startViewTransition: "Chromium 111",
          scrollend: "Safari 26.2",
          checkVisibility: "Safari 17.4",
          setHTMLUnsafe: "Safari 17.4",
          showPopover: "Safari 17",
          moveBefore: "Chromium 133",
          getAllRecords: "Chromium 141",
        }).map(([name, since]) => ({
          selector: `MemberExpression[property.name="${name}"]`,
          message: `${name}: ${since}`,
        })),
      ],
    },
  },
  {
    files: ["collection_app/static/study/support.js"],
    // Read by browsers of any age, so that they can say that they are too old.
    languageOptions: { ecmaVersion: "latest", sourceType: "script" },
    rules: es.configs["flat/restrict-to-es5"].rules,
  },
];
