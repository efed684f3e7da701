// The gallery: every loss as a small curve that a pointer can follow, found by words, tasks and properties.

import { digits, fill, h } from "./dom.js";
import { rows, theme, watchTheme } from "./plots.js";
import { SceneSocket } from "./socket.js";
import { Spark } from "./spark.js";

const WIDTH = 220;
const HEIGHT = 96;
const AT_ONCE = 4;
const TYPING_MS = 500;
const KEY_STEP = 0.02;
const GONE_MS = 1500;
const NEXT = { undefined: "yes", yes: "no", no: undefined };
const galleries = new WeakMap();
let left; // where somebody was in the gallery before a loss was opened

export function render(component) {
  const root = component.parentElement.querySelector(".lv-root");
  if (!galleries.has(root)) galleries.set(root, new Gallery(root, component));
  galleries.get(root).update(component);
}

export function unmounted(component) {
  const root = component.parentElement.querySelector(".lv-root");
  setTimeout(() => {
    if (root && !root.isConnected) galleries.get(root)?.dispose();
  }, GONE_MS);
}

const scroller = (root) => root.closest('[data-testid="stMain"]') ?? document.scrollingElement;

class Gallery {
  constructor(root, component) {
    Object.assign(this, { root, component, data: component.data, revision: component.data.revision, waiting: new Set() });
    this.state = structuredClone(component.data.state);
    this.build();
    this.filter();
    if (left && left.state === JSON.stringify(this.state)) requestAnimationFrame(() => (scroller(root).scrollTop = left.top));
  }

  update(component) {
    this.component = component;
    this.data = component.data;
    const arrived = JSON.stringify(component.data.state);
    if (component.data.revision >= this.revision && arrived !== JSON.stringify(this.state)) {
      this.state = structuredClone(component.data.state);
      this.search.value = this.state.q;
      this.filter();
    }
    this.socket.link.again();
  }

  build() {
    const { data, root } = this;
    const { text } = data;
    root.classList.add("lv-gallery");
    theme(root);
    this.search = h("input", { type: "search", class: "lv-search", placeholder: text.search, "aria-label": text.search, value: this.state.q, oninput: () => this.typed() });
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.found[0] && this.open(this.found[0].key);
      if (event.key === "Escape") this.clear();
    });
    this.count = h("output", { class: "lv-count", name: "count", role: "status" });
    this.tasks = data.tasks.map(({ key, label, count }) =>
      h("button", { type: "button", class: "lv-chip", "data-task": key, onclick: () => this.set({ task: this.state.task === key ? "" : key }) }, label, h("small", {}, String(count))),
    );
    this.claims = data.properties.map(({ key, label, meaning }) =>
      h("button", { type: "button", class: "lv-chip", "data-property": key, title: meaning, onclick: () => this.turn(key) }, label),
    );
    const chips = (label, buttons) => h("div", { class: "lv-chips", role: "group", "aria-label": label }, h("span", { class: "lv-chips-name" }, label), ...buttons);
    this.empty = h("p", { class: "lv-empty", hidden: true }, text.empty, " ", h("button", { class: "lv-button", type: "button", onclick: () => this.clear() }, text.clear));
    this.cards = new Map(data.losses.map((loss) => [loss.key, new Card(loss, this)]));
    this.sections = data.tasks.map(({ key, label }) => {
      const own = data.losses.filter((loss) => loss.tasks[0] === key);
      const grid = h("div", { class: "lv-thumbs" }, ...own.map((loss) => this.cards.get(loss.key).element));
      const number = h("small");
      return { own, number, element: h("section", { "data-task": key }, h("h2", {}, label, " ", number), grid) };
    });
    root.replaceChildren(
      h("div", { class: "lv-filter" }, h("div", { class: "lv-find" }, this.search, this.count), chips(text.task, this.tasks), chips(text.property, this.claims)),
      this.empty,
      ...this.sections.map((section) => section.element),
    );
    this.slash = (event) => {
      if (event.key !== "/" || event.target.closest("input, textarea, select, [contenteditable]")) return;
      event.preventDefault();
      this.search.focus();
    };
    document.addEventListener("keydown", this.slash);
    this.themes = watchTheme(root, () => theme(root));
    this.socket = new SceneSocket({
      base: data.base,
      token: () => this.data.token,
      renew: () => this.component.setTriggerValue("token", String(Date.now())),
      request: () => this.request(),
      frame: (frame) => this.draw(frame),
      error: () => {},
      state: (state) => root.classList.toggle("lv-offline", state !== "live"),
    });
    this.seen = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        const key = entry.target.dataset.loss;
        if (entry.isIntersecting && !this.cards.get(key).drawn) this.waiting.add(key);
        else this.waiting.delete(key);
      }
      if (this.waiting.size) this.socket.ask();
    }, { rootMargin: "200px" });
    for (const card of this.cards.values()) this.seen.observe(card.element);
  }

  /** The card under the pointer first, then a few of those that are on screen and still empty. */
  request() {
    const { held } = this;
    const next = [...this.waiting].slice(0, AT_ONCE);
    const losses = [...new Set([...(held ? [held.loss.key] : []), ...next])];
    const views = [...next.map((key) => `curve:${key}`), ...(held ? [`tangent:${held.loss.key}`] : [])];
    return { scene: "slice", losses, params: {}, handles: { t: held?.share ?? 0.5 }, views };
  }

  draw(frame) {
    for (const [name, array] of Object.entries(frame.arrays)) {
      const [view, key] = name.split(":");
      if (view === "curve") this.cards.get(key).curve(rows(array), frame.seq);
      this.waiting.delete(key);
    }
    const { held } = this;
    if (held && frame.handles.t === held.share) held.show(frame.numbers[held.loss.key], frame.arrays[`tangent:${held.loss.key}`], frame.seq);
    if (this.waiting.size) this.socket.ask();
  }

  hold(card, share) {
    if (this.held && this.held !== card) this.held.rest();
    this.held = card;
    if (!card) return;
    card.share = Math.round(Math.min(1, Math.max(0, share)) * 1000) / 1000;
    this.socket.ask();
  }

  typed() {
    this.state.q = this.search.value.slice(0, 80);
    this.filter();
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.report(), TYPING_MS);
  }

  turn(key) {
    const claims = { ...this.state.claims, [key]: NEXT[this.state.claims[key]] };
    if (!claims[key]) delete claims[key];
    this.set({ claims });
  }

  set(change) {
    Object.assign(this.state, change);
    this.filter();
    this.report();
  }

  clear() {
    this.search.value = "";
    this.set({ q: "", task: "", claims: {} });
    this.search.focus();
  }

  report() {
    clearTimeout(this.typing);
    this.revision = Math.max(this.revision, this.data.revision) + 1;
    this.component.setStateValue("state", { ...this.state, revision: this.revision });
  }

  open(key) {
    this.report();
    left = { state: JSON.stringify(this.state), top: scroller(this.root).scrollTop };
    this.component.setTriggerValue("open", key);
  }

  filter() {
    const { q, task, claims } = this.state;
    const words = q.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (loss) =>
      words.every((word) => loss.words.includes(word)) &&
      (!task || loss.tasks.includes(task)) &&
      Object.entries(claims).every(([name, wanted]) => loss.claims[name] === wanted);
    this.found = this.data.losses.filter(fits);
    const kept = new Set(this.found.map((loss) => loss.key));
    for (const [key, card] of this.cards) card.element.hidden = !kept.has(key);
    for (const { own, number, element } of this.sections) {
      const count = own.filter((loss) => kept.has(loss.key)).length;
      element.hidden = !count;
      number.textContent = String(count);
    }
    for (const button of this.tasks) button.setAttribute("aria-pressed", String(button.dataset.task === task));
    for (const button of this.claims) {
      const wanted = claims[button.dataset.property];
      button.setAttribute("aria-pressed", String(Boolean(wanted)));
      button.dataset.wanted = wanted ?? "";
      const { label } = this.data.properties.find(({ key }) => key === button.dataset.property);
      button.setAttribute("aria-label", wanted ? `${label}: ${this.data.text[wanted]}` : label);
    }
    this.empty.hidden = this.found.length > 0;
    this.count.textContent = fill(this.data.text.count, { count: this.found.length, total: this.data.losses.length });
    this.count.dataset.value = this.found.length;
  }

  dispose() {
    this.socket.close();
    this.seen.disconnect();
    this.themes.disconnect();
    document.removeEventListener("keydown", this.slash);
    clearTimeout(this.typing);
    galleries.delete(this.root);
  }
}

/** One loss: its curve, a dot that follows the pointer or the arrow keys, and the numbers under it. */
class Card {
  constructor(loss, gallery) {
    Object.assign(this, { loss, gallery, share: loss.start });
    const { text } = gallery.data;
    this.spark = new Spark(WIDTH, HEIGHT);
    this.numbers = h("span", { class: "lv-thumb-numbers" });
    this.element = h(
      "a",
      { class: "lv-thumb", href: loss.href, "data-loss": loss.key, title: loss.summary },
      h("span", { class: "lv-thumb-picture" }, this.spark.element),
      h("span", { class: "lv-thumb-name" }, loss.name),
      h("span", { class: "lv-thumb-other", lang: "zh" }, loss.zh),
      this.numbers,
    );
    this.text = text;
    const { element } = this;
    element.addEventListener("click", (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
      event.preventDefault();
      gallery.open(loss.key);
    });
    element.addEventListener("pointermove", (event) => {
      const box = this.spark.element.getBoundingClientRect();
      gallery.hold(this, (event.clientX - box.left) / box.width);
    });
    element.addEventListener("pointerleave", () => gallery.held === this && gallery.hold(null));
    element.addEventListener("focus", () => gallery.hold(this, this.share));
    element.addEventListener("blur", () => gallery.held === this && gallery.hold(null));
    element.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!way) return;
      event.preventDefault();
      gallery.hold(this, this.share + way * KEY_STEP * (event.shiftKey ? 5 : 1));
    });
  }

  curve([x, y], seq) {
    this.drawn = true;
    this.known = { x, y };
    this.spark.draw(x, y);
    this.element.dataset.seq = seq;
    this.rest();
  }

  /** Where nobody points: the dot on the nearest of the curve's own places, no numbers. */
  rest() {
    this.element.classList.remove("lv-live");
    this.numbers.textContent = "";
    this.share = this.loss.start;
    if (!this.known) return;
    const { x, y } = this.known;
    const i = Math.round(this.share * (x.length - 1));
    this.spark.point(x[i], y[i]);
    this.spark.line.setAttribute("d", "");
  }

  show(numbers, tangent, seq) {
    if (!this.known) return;
    this.element.classList.add("lv-live");
    this.spark.point(numbers?.x ?? NaN, numbers?.loss ?? NaN);
    if (tangent) {
      const [x, y] = rows(tangent);
      this.spark.straight([x[0], y[0]], [x[1], y[1]]);
    }
    const { text } = this;
    const slope = numbers?.gradient == null ? "" : fill(text.slopeIs, { value: digits(numbers.gradient) });
    this.numbers.textContent = numbers ? `${fill(text.lossIs, { value: digits(numbers.loss) })}${slope}` : text.undefined;
    Object.assign(this.numbers.dataset, { seq, x: numbers?.x ?? "", loss: numbers?.loss ?? "", gradient: numbers?.gradient ?? "" });
  }
}
