// Points that a picture's range leaves out are not lost: a triangle at the edge says where, and how much.

import { digits, h } from "./dom.js";

const ROW = 17;
const GAP = 6;

/** One mark for each loss, in its colour, to be moved by `markOutside`. */
export function outsideMarks(overlay, losses) {
  const marks = losses.map((_, i) => h("span", { class: "lv-outside", style: `color:var(--lv-loss${i})`, "aria-hidden": "true", hidden: true }));
  overlay.append(...marks);
  return marks;
}

/** `at` and `values` hold each loss's point; `inset` is room that something else takes at the top. */
export function markOutside(picture, marks, at, values, inset = 0) {
  const [low, high] = picture.layout.yaxis.range;
  marks.forEach((mark, i) => {
    const side = values[i] > high ? high : values[i] < low ? low : null;
    mark.hidden = side == null;
    if (mark.hidden) return;
    mark.textContent = `${side === high ? "▲" : "▼"} ${digits(values[i])}`;
    const [left, top] = picture.place(at[i], side);
    const toLeft = left > picture.element.clientWidth / 2;
    const row = ROW * marks.slice(0, i).filter((other) => !other.hidden).length;
    mark.style.transform = `translate(${left + (toLeft ? -GAP : GAP)}px, ${top + (side === high ? 2 + inset + row : -19 - row)}px) translateX(${toLeft ? -100 : 0}%)`;
  });
}
