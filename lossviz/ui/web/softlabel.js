// The label of the scene of several classes: one class, or shares of all classes. Which of the two it is, is said above
// the picture; what a share is worth is torch's business.

import { clamp, h } from "./dom.js";

const UNIT = 1000;
const SOFTENED = 0.8;
let chosen = false;

/** Shares in thousandths that add up to 1; what rounding leaves goes to those it took most from. */
export function asShares(values) {
  const sum = values.reduce((a, b) => a + b);
  const exact = values.map((value) => (UNIT * value) / sum);
  const whole = exact.map(Math.floor);
  const left = UNIT - whole.reduce((a, b) => a + b);
  const order = values.map((_, i) => i).sort((i, j) => exact[j] - whole[j] - (exact[i] - whole[i]));
  for (const i of order.slice(0, left)) whole[i] += 1;
  return whole.map((value) => value / UNIT);
}

/** Shares with `value` for class k; the others keep their proportions, or are even where they have none. */
export function withShare(shares, k, value) {
  const kept = clamp(value, 0, 1);
  const rest = shares.reduce((sum, share, i) => (i === k ? sum : sum + share), 0);
  const even = (1 - kept) / (shares.length - 1);
  return asShares(shares.map((share, i) => (i === k ? kept : rest ? (share * (1 - kept)) / rest : even)));
}

/** The shares held, of as many classes as there are; `undefined` where they have none of them. */
export function sharesOf({ soft }, count) {
  const values = Array.from({ length: count }, (_, i) => soft[i] ?? 0);
  return values.some(Boolean) ? asShares(values) : undefined;
}

/** Two buttons, one class or shares, and what a loss makes of shares. */
export function labelChoice(stage, count) {
  const { text, soft } = stage.data;
  const turn = (values) => () => {
    chosen = true;
    Object.assign(stage.handles, values());
    // The page builds the scene anew, with the formulas and the code of the other kind of label.
    stage.report();
  };
  const toClass = turn(() => {
    const { label } = stage.handles;
    const shares = sharesOf(stage.handles, count);
    return { soft: [], label: shares ? shares.indexOf(Math.max(...shares)) + 1 : label };
  });
  const toShares = turn(() => ({ soft: withShare(Array(count).fill(0), Math.min(stage.handles.label, count) - 1, SOFTENED) }));
  const button = (pressed, words, onclick) => h("button", { type: "button", class: "lv-tab", "data-label": words, "aria-pressed": String(pressed), onclick: () => pressed || onclick() }, text.label[words]);
  const buttons = [button(!soft, "class", toClass), button(soft, "soft", toShares)];
  const group = h("span", { class: "lv-tabs", role: "group", "aria-label": text.label.title }, ...buttons);
  const weighted = h("span", { class: "lv-classes-meaning", hidden: true }, text.label.weighted);
  const meaning = soft ? [h("span", { class: "lv-classes-meaning" }, text.label.meaning), weighted] : [];
  const element = h("p", { class: "lv-classes-label" }, h("span", {}, text.label.title), group, ...meaning);
  const sync = () => {
    weighted.hidden = !stage.data.weighted.length || stage.handles.weights.slice(0, count).every((weight) => weight === 1);
  };
  // Who chose with the keyboard goes on from there.
  const shown = () => {
    if (chosen) buttons[soft ? 1 : 0].focus({ preventScroll: true });
    chosen = false;
  };
  return { element, shown, sync };
}
