// Handles: what a finger, a mouse or a key holds. Geometry only; what a position means is torch's business.

import { clamp, h } from "./dom.js";

const LARGE = 10;
const REPORT_AFTER_KEY_MS = 400;

const tidy = (spec, value) => clamp(spec.whole ? Math.round(value) : Math.round(value * 1000) / 1000, spec.low, spec.high);

function sliderElement(spec, className) {
  return h("div", {
    class: className,
    role: "slider",
    tabindex: 0,
    "data-handle": spec.name,
    "aria-label": spec.label,
    "aria-valuemin": spec.low,
    "aria-valuemax": spec.high,
  });
}

const hundredths = (value) => value.toFixed(2).replace("-", "−");

function describe(element, value, words = hundredths) {
  element.setAttribute("aria-valuenow", value);
  element.setAttribute("aria-valuetext", words(value));
}

/**
 * Follow the pointer that pressed `element`: `move(left, top)` in pixels of `area`, `end()` on release. What it returns
 * lets an element that has only just appeared take the pointer that is down over it.
 */
export function follow(element, area, move, end) {
  const take = (down) => {
    if (down.button !== 0) return;
    down.preventDefault();
    const disc = element.getBoundingClientRect();
    const grip = [down.clientX - disc.left - disc.width / 2, down.clientY - disc.top - disc.height / 2];
    element.setPointerCapture(down.pointerId);
    element.classList.add("lv-held");
    const moved = (event) => {
      const box = area.getBoundingClientRect();
      move(event.clientX - grip[0] - box.left, event.clientY - grip[1] - box.top);
    };
    const released = () => {
      element.removeEventListener("pointermove", moved);
      element.classList.remove("lv-held");
      end();
    };
    element.addEventListener("pointermove", moved);
    element.addEventListener("lostpointercapture", released, { once: true });
  };
  element.addEventListener("pointerdown", take);
  return take;
}

/** Arrow keys: `step(dx, dy, factor)`; the last key's release, after a pause, ends the move. */
function keys(element, step, jump, end) {
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1], PageDown: [-LARGE, -LARGE], PageUp: [LARGE, LARGE] };
  let timer;
  element.addEventListener("keydown", (event) => {
    const arrow = arrows[event.key];
    if (arrow) step(arrow[0], arrow[1], event.shiftKey ? LARGE : 1);
    else if (event.key === "Home" || event.key === "End") jump(event.key === "End");
    else return;
    event.preventDefault();
    clearTimeout(timer);
    timer = setTimeout(end, REPORT_AFTER_KEY_MS);
  });
}

/**
 * A handle that moves along one line. `place(value)` gives pixels in `area`, `unplace(left, top)` a value;
 * `move(name, value)` is called while it moves, `end()` when it is let go. `words(value)` says the value to people.
 */
export function slider({ area, spec, place, unplace, move, end, className = "", words = spec.whole ? String : hundredths }) {
  const element = sliderElement(spec, `lv-handle ${className}`);
  const bubble = h("span", { class: "lv-bubble", "aria-hidden": "true" });
  element.append(h("span", { class: "lv-disc" }), bubble);
  area.append(element);
  const handle = { element, spec, value: spec.default };
  handle.set = (value) => {
    handle.value = value;
    const [left, top] = place(value);
    element.style.transform = `translate(${left}px, ${top}px)`;
    bubble.textContent = words(value);
    describe(element, value, words);
  };
  const go = (value) => {
    handle.set(tidy(spec, value));
    move(spec.name, handle.value);
  };
  follow(element, area, (left, top) => go(unplace(left, top)), end);
  keys(element, (dx, dy, factor) => go(handle.value + (dx || dy) * factor * spec.step), (last) => go(last ? spec.high : spec.low), end);
  return handle;
}

/**
 * A handle in a plane: one disc, a group of two sliders; left and right move the first, up and down the second.
 * `group` names the disc where several are parts of `name`.
 */
export function plane({ area, name, group: groupName = name, label, specs, place, unplace, move, end, className = "" }) {
  const sliders = specs.map((spec) => sliderElement({ ...spec, name: `${name}.${spec.name}` }, "lv-axis"));
  const group = h("div", { class: `lv-handle ${className}`, role: "group", "aria-label": label, "data-handle": groupName }, h("span", { class: "lv-disc" }), ...sliders);
  area.append(group);
  const handle = { element: group, values: specs.map((spec) => spec.default) };
  handle.set = (values) => {
    handle.values = values;
    const [left, top] = place(...values);
    group.style.transform = `translate(${left}px, ${top}px)`;
    sliders.forEach((element, i) => describe(element, values[i]));
  };
  const go = (values) => {
    handle.set(values.map((value, i) => tidy(specs[i], value)));
    move(handle.values);
  };
  handle.take = follow(group, area, (left, top) => go(unplace(left, top)), end);
  keys(group, (dx, dy, factor) => go([handle.values[0] + dx * factor * specs[0].step, handle.values[1] + dy * factor * specs[1].step]), () => {}, end);
  return handle;
}
