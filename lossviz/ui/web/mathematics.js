// Lines of mathematics, each with its number at the moment beside it.

import { h, math } from "./dom.js";

/** A line that is longer than its place can be scrolled, by keyboard too. */
const watcher = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth + 1) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});

/** One line of mathematics. */
export function formula(mathml, ...more) {
  const held = h("span", { class: "lv-math" }, math(mathml));
  watcher.observe(held);
  return h("div", { class: "lv-line" }, held, ...more);
}

/** One element a line; the numbers arrive with each frame, in its field `lines` ("lines" or "steps"). */
export function formulaLines(loss, lines, mathml) {
  return mathml.map((line, i) =>
    formula(line, h("output", { name: `${lines}.${i}`, "data-loss": loss.key, "data-lines": lines, "data-line": i, "data-value": "" })),
  );
}
