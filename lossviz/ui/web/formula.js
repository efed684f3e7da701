// Lines of mathematics, each with its number at the moment beside it.

import { h, math } from "./dom.js";

/** One element a line; the numbers arrive with each frame, in its field `lines` ("lines" or "steps"). */
export function formulaLines(loss, lines, mathml) {
  return mathml.map((line, i) =>
    h("div", { class: "lv-line" }, math(line), h("output", { name: `${lines}.${i}`, "data-loss": loss.key, "data-lines": lines, "data-line": i, "data-value": "" })),
  );
}
