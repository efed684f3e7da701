// The one card style, and the mark by which a loss is known in every picture.

import { h } from "./dom.js";

/** A card with a picture in it and room for handles over it. */
export function card(className, title, ...extras) {
  const plot = h("div", { class: "lv-plot" });
  const overlay = h("div", { class: "lv-overlay" });
  const frame = h("div", { class: "lv-frame" }, plot, overlay);
  const element = h("figure", { class: `lv-card ${className}` }, h("figcaption", {}, h("span", {}, title), ...extras), frame);
  return { element, plot, overlay, frame };
}

/** A short stretch of a loss's line, in its colour and dash. */
export function swatch(position, dash) {
  const pattern = dash === "solid" ? "" : dash.replaceAll("px", "");
  const holder = h("span", { class: "lv-swatch" });
  holder.innerHTML = `<svg width="28" height="8" aria-hidden="true"><line x1="1" y1="4" x2="27" y2="4" style="stroke:var(--lv-loss${position})" stroke-width="3" stroke-dasharray="${pattern}"/></svg>`;
  return holder;
}
