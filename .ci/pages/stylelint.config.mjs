/** What the pages' styles may use: what all browsers had in 2021, and what those of eslint.config.mjs had a little later
 * or do well without. */

const any = ["/.*/"];

export default {
  plugins: ["stylelint-plugin-use-baseline"],
  rules: {
    "plugin/use-baseline": [
      true,
      {
        available: 2021,
        severity: "error",
        ignoreSelectors: [
          "focus-visible", // Safari 15.4
          "backdrop", // Safari 15.4
        ],
        ignoreProperties: {
          "accent-color": any, // Safari 15.4
          appearance: any, // Safari 15.4
          "color-scheme": any, // Firefox 96
          outline: any, // square at round corners before Safari 16.4
          "overflow-wrap": ["anywhere"], // Safari 15.4
          "scroll-behavior": any, // Safari 15.4
          "text-size-adjust": any, // for phones that enlarge small text; Firefox and Safari on desktops have none
          "text-wrap": any, // nicer lines where a browser can
          "user-select": any, // stands beside -webkit-user-select
        },
        // Each stands after a value that every browser understands.
        ignoreFunctions: ["color-mix"],
        ignoreUnits: ["dvh"],
      },
    ],
    "media-feature-range-notation": "prefix", // (width > 30rem): Safari 16.4
    "declaration-block-no-duplicate-properties": [true, { ignore: ["consecutive-duplicates-with-different-values"] }],
    "no-duplicate-selectors": true,
  },
};
