// Sequences: a grid of probabilities whose cells are dragged, what the labels want of it, and CTC's lattice below.

import { card } from "./cards.js";
import { clamp, digits, fill, h } from "./dom.js";
import { follow } from "./handles.js";
import { Picture, rows } from "./plots.js";

const SVG = "http://www.w3.org/2000/svg";
const PIXELS_A_LOGIT = 20;
const PIXELS_A_CLASS = 24;
const TAP = 4;
const COARSE = 4;
const REPORT_AFTER_KEY_MS = 400;
const FIT_SPARE = 1.15;
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const CHANGES = { "+": 1, "=": 1, "-": -1, "−": -1, PageUp: COARSE, PageDown: -COARSE };
const LATTICE = { top: 8, bottom: 46, widest: 17, labelled: 12 };
const QUIET = 0.01;

export function create(tools) {
  return new Sequence(tools);
}

function svg(tag, attributes, parent) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  parent?.append(element);
  return element;
}

/** A share of 1 short enough for a cell. */
function share(value) {
  if (!Number.isFinite(value)) return "";
  return value > 0.995 ? "1" : value < 0.005 ? "0" : value.toFixed(2).replace(/^0/, "");
}

const signed = (value) => (Number.isFinite(value) ? (value < -0.005 ? "−" : "") + share(Math.abs(value)) : "");
const hundredths = (value) => value.toFixed(2).replace("-", "−");

class Sequence {
  constructor({ Plotly, stage, pictures }) {
    this.stage = stage;
    const { data } = stage;
    const { text, figures } = data;
    this.specs = Object.fromEntries(data.handleSpecs.map((spec) => [spec.name, spec]));
    this.columns = Array.from({ length: data.positions }, (_, t) => t);
    this.classes = Array.from({ length: data.classes }, (_, k) => k);
    this.grid = this.draggable();
    this.wants = this.shown("lv-sequence-wanted");
    this.pulls = this.shown("lv-sequence-pulls");
    this.ends = [h("b"), h("b")];
    this.pulls.note.append(h("div", { class: "lv-sequence-legend" }, h("span", {}, this.ends[0], text.more), h("i"), h("span", {}, text.less, this.ends[1])));
    this.wants.note.append(this.readout());
    this.below = this.timeline();
    const margin = figures.tokens.layout.margin;
    pictures.style.setProperty("--gutter", `${margin.l}px`);
    pictures.style.setProperty("--edge", `${margin.r}px`);
    pictures.style.setProperty("--columns", data.positions);
    pictures.classList.add("lv-sequence");
    pictures.append(this.strip(), this.grid.element, this.wants.element, this.below.element, this.pulls.element);
    this.bars = new Picture(Plotly, this.below.plot, figures.tokens);
    this.bars.tokens = stage.tokens;
    this.bars.drawn = () => this.placeNotes();
    this.bars.draw("");
    this.resizing = new ResizeObserver(() => this.stage.frame && this.drawLattice(this.stage.frame));
    this.resizing.observe(this.below.frame);
    this.below.frame.addEventListener("dblclick", () => this.fit());
    this.place();
  }

  /** Which kind of losses the one in focus is of. */
  get kind() {
    return this.stage.data.kinds[this.stage.focus] ?? "tokens";
  }

  name(k) {
    return this.stage.data.names[k];
  }

  /** Labels as CTC has them, or the whole target. */
  labels(target, kind = this.kind) {
    return (kind === "ctc" ? target.filter((k) => k > 0) : target).map((k) => this.name(k)).join(" ");
  }

  strip() {
    const { text, presets } = this.stage.data;
    const buttons = Object.entries(presets).map(([name, start]) =>
      h("button", { class: "lv-chip", type: "button", "data-preset": name, onclick: () => this.begin(start) }, text.presets[name]),
    );
    return h("div", { class: "lv-sequence-presets" }, h("span", {}, text.start), ...buttons);
  }

  begin({ logits, target }) {
    this.stage.moved({ logits: [...logits], target: [...target] });
    this.top = this.scale = 0;
    this.place();
    this.stage.report();
  }

  /** A card with a row for each class and a column for each position; `cell(i)` makes its cells. */
  cellCard(className, title, role, cell) {
    const cells = [];
    const lines = this.classes.map((k) => {
      const own = this.columns.map((t) => (cells[t * this.classes.length + k] = cell(t * this.classes.length + k)));
      return h("div", { role: role === "grid" ? "row" : null, class: "lv-sequence-row" }, h("b", { "aria-hidden": "true" }, this.name(k)), ...own);
    });
    const grid = h("div", { class: "lv-sequence-cells", role }, ...lines);
    this.units ??= [];
    const unit = h("b");
    this.units.push(unit);
    const ticks = h("div", { class: "lv-sequence-row lv-sequence-ticks", "aria-hidden": "true" }, unit, ...this.columns.map((t) => h("span", {}, t + 1)));
    const note = h("div", { class: "lv-sequence-note" });
    const caption = h("span", {}, title);
    const element = h("figure", { class: `lv-card ${className}` }, h("figcaption", {}, caption), h("div", { class: "lv-sequence-area" }, grid, ticks), note);
    return { element, grid, cells, note, caption };
  }

  draggable() {
    const { text } = this.stage.data;
    const made = this.cellCard("lv-sequence-main", text.grid, "grid", (i) => this.cell(i));
    made.grid.setAttribute("aria-label", text.gridLabel);
    made.grid.setAttribute("data-handle", "logits");
    made.grid.addEventListener("keydown", (event) => this.key(event));
    this.targets = this.columns.map((t) => this.targetAt(t));
    made.grid.before(h("div", { class: "lv-sequence-row lv-sequence-targets" }, h("b", { "aria-hidden": "true" }, text.target), ...this.targets));
    this.hint = h("span");
    this.arrowKey = h("span", { class: "lv-sequence-key" });
    made.note.append(this.hint, this.arrowKey);
    return made;
  }

  /** A cell: its logit on a gauge follows the finger, its probability is torch's. */
  cell(i) {
    const element = h("div", { role: "gridcell", class: "lv-sequence-cell", tabindex: -1, "data-cell": i, "data-handle": `logits.${i}` });
    const parts = { gauge: h("i", { class: "lv-sequence-gauge" }), p: h("span"), z: h("small"), arrow: h("em") };
    element.append(...Object.values(parts));
    Object.assign(element, { parts });
    let start = 0;
    element.addEventListener("pointerdown", () => {
      start = this.stage.handles.logits[i];
      element.focus({ preventScroll: true });
      this.stage.moved({ cursor: i });
      this.place();
    });
    const drag = (_, top) => this.set(i, start + (element.clientHeight / 2 - top) / PIXELS_A_LOGIT);
    follow(element, element, drag, () => this.stage.report());
    return element;
  }

  set(i, value) {
    const { low, high } = this.specs.logits;
    const logits = [...this.stage.handles.logits];
    logits[i] = clamp(Math.round(value * 100) / 100, low, high);
    this.stage.moved({ logits, cursor: i });
    this.place();
  }

  /** An entry of the target: a tap takes the next class, a drag or a key any. */
  targetAt(t) {
    const { text } = this.stage.data;
    const { low, high } = this.specs.target;
    const element = h("div", {
      class: "lv-sequence-target",
      role: "slider",
      tabindex: 0,
      "data-handle": `target.${t}`,
      "aria-label": fill(text.targetAt, { t: t + 1 }),
      "aria-valuemin": low,
      "aria-valuemax": high,
      "aria-orientation": "vertical",
    });
    const put = (value) => {
      const target = [...this.stage.handles.target];
      target[t] = clamp(value, low, high);
      this.stage.moved({ target });
      this.place();
    };
    let start, far;
    element.addEventListener("pointerdown", () => {
      [start, far] = [this.stage.handles.target[t], 0];
      element.focus({ preventScroll: true });
    });
    const drag = (_, top) => {
      const up = element.clientHeight / 2 - top;
      far = Math.max(far, Math.abs(up));
      put(start + Math.round(up / PIXELS_A_CLASS));
    };
    follow(element, element, drag, () => {
      if (far < TAP) put(start === high ? low : start + 1);
      this.stage.report();
    });
    element.addEventListener("keydown", (event) => {
      const value = this.stage.handles.target[t];
      const to = { ArrowUp: value + 1, ArrowRight: value + 1, PageUp: value + 1, ArrowDown: value - 1, ArrowLeft: value - 1, PageDown: value - 1, Home: low, End: high }[event.key];
      if (to == null) return;
      event.preventDefault();
      put(to);
      this.later();
    });
    return element;
  }

  /** Cells that are only looked at; a press moves the cursor there. */
  shown(className) {
    const made = this.cellCard(className, "", "img", (i) => h("div", { class: "lv-sequence-cell", "data-cell": i }));
    made.grid.addEventListener("pointerdown", (event) => {
      const cell = event.target.closest("[data-cell]");
      if (cell) this.point(Number(cell.dataset.cell));
    });
    return made;
  }

  point(cursor) {
    this.stage.moved({ cursor });
    this.place();
    this.stage.report();
  }

  /** The gradient of the cell under the cursor as the difference that it is, with its numbers. */
  readout() {
    const output = (name) => h("output", { name, "data-loss": "", "data-value": "" }, "–");
    const [p, q, gradient] = ["p", "wanted", "gradient"].map(output);
    this.readings = [p, q, gradient];
    this.cellName = h("b");
    this.sides = [h("span"), h("span")];
    this.difference = h("span", {}, this.sides[0], p, " − ", q, this.sides[1], " = ", gradient);
    return h("div", { class: "lv-sequence-readout" }, this.cellName, this.difference);
  }

  timeline() {
    const { text } = this.stage.data;
    const numbers = Object.entries(text.latticeNumbers).map(([name, words]) =>
      h("label", { class: "lv-sequence-number" }, h("span", {}, words), h("output", { name, "data-loss": "", "data-value": "" }, "–")),
    );
    this.strips = h("span", { class: "lv-sequence-numbers" }, ...numbers);
    this.latticeOutputs = numbers.map((label) => label.lastElementChild);
    const made = card("lv-sequence-below", "", this.strips);
    this.lattice = svg("svg", { class: "lv-sequence-lattice", role: "img" }, made.frame);
    this.lattice.addEventListener("pointerdown", (event) => {
      const cell = event.target.closest("[data-cell]");
      if (cell) this.point(Number(cell.dataset.cell));
    });
    this.notes = this.columns.map(() => h("span", { class: "lv-sequence-adds" }));
    made.overlay.append(...this.notes);
    this.pathNote = h("p", { class: "lv-sequence-note" });
    made.element.append(this.pathNote);
    made.caption = made.element.querySelector("figcaption span");
    return made;
  }

  key(event) {
    const { handles } = this.stage;
    const count = this.classes.length;
    const [t, k] = [Math.floor(handles.cursor / count), handles.cursor % count];
    const last = this.columns.length - 1;
    const move = MOVES[event.key];
    const change = CHANGES[event.key];
    if (move) this.stage.moved({ cursor: clamp(t + move[0], 0, last) * count + clamp(k + move[1], 0, count - 1) });
    else if (event.key === "Home" || event.key === "End") this.stage.moved({ cursor: (event.key === "End" ? last : 0) * count + k });
    else if (change) this.set(handles.cursor, handles.logits[handles.cursor] + change * this.specs.logits.step);
    else return;
    event.preventDefault();
    this.place();
    this.grid.cells[handles.cursor].focus({ preventScroll: true });
    this.later();
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.stage.report(), REPORT_AFTER_KEY_MS);
  }

  /** Everything that the state alone decides follows at once. */
  place() {
    const { handles, params, focus, data } = this.stage;
    const { text } = data;
    const { low, high } = this.specs.logits;
    const { kind } = this;
    const count = this.classes.length;
    this.padded = this.columns.map((t) => kind === "tokens" && handles.target[t] === params[focus]?.pad_index);
    const cellName = (i, z) => fill(text.cell[kind], { t: Math.floor(i / count) + 1, k: this.name(i % count), z: hundredths(z) });
    this.grid.cells.forEach((cell, i) => {
      const z = handles.logits[i];
      const [t, k] = [Math.floor(i / count), i % count];
      const { gauge, z: words } = cell.parts;
      gauge.style.setProperty("--level", `${(100 * (z - low)) / (high - low)}%`);
      words.textContent = hundredths(z);
      cell.dataset.value = String(z);
      cell.setAttribute("aria-label", cellName(i, z));
      cell.tabIndex = i === handles.cursor ? 0 : -1;
      if (kind === "tokens") cell.classList.toggle("lv-sequence-ringed", handles.target[t] === k && !this.padded[t]);
    });
    for (const { cells } of [this.grid, this.wants, this.pulls])
      cells.forEach((cell, i) => {
        cell.classList.toggle("lv-sequence-cursor", i === handles.cursor);
        cell.classList.toggle("lv-sequence-padded", this.padded[Math.floor(i / count)]);
      });
    this.targets.forEach((element, t) => {
      const value = handles.target[t];
      element.textContent = this.name(value);
      element.setAttribute("aria-valuenow", value);
      element.setAttribute("aria-valuetext", this.name(value));
      element.classList.toggle("lv-sequence-none", kind === "ctc" ? value === 0 : this.padded[t]);
    });
    const at = handles.cursor;
    this.cellName.textContent = `${text.unit[kind]} ${Math.floor(at / count) + 1}, ${this.name(at % count)}`;
  }

  sync() {
    const { data, focus } = this.stage;
    const { text } = data;
    const { kind } = this;
    const isCtc = kind === "ctc";
    this.place();
    for (const unit of this.units) unit.textContent = text.unit[kind].toLowerCase();
    for (const output of [...this.readings, ...(isCtc ? this.latticeOutputs : [])]) output.dataset.loss = focus;
    this.hint.textContent = text.hint[kind];
    this.wants.caption.textContent = text.wanted[kind];
    this.strips.hidden = !isCtc;
    // An output that no answer fills would be stale for ever.
    if (!isCtc) for (const output of this.latticeOutputs) delete output.dataset.loss;
    this.lattice.classList.toggle("lv-sequence-away", !isCtc);
    this.below.plot.classList.toggle("lv-away", isCtc);
    for (const note of this.notes) note.hidden = isCtc;
    this.arrowKey.textContent = this.stage.handles.arrows ? text.arrowKey : "";
  }

  wanted() {
    const { focus } = this.stage;
    return [`cells:${focus}`, `lattice:${focus}`, "tokens", `formula:${focus}`];
  }

  draw(frame) {
    const { focus, data } = this.stage;
    const { text } = data;
    const numbers = frame.numbers[focus];
    const gradient = frame.arrays[`gradient:${focus}`]?.values;
    this.drawGrid(frame, gradient);
    this.drawShares(this.wants, frame.arrays[`wanted:${focus}`]?.values, frame.seq);
    this.drawPulls(gradient, frame.seq);
    this.difference.hidden = !numbers;
    const divided = numbers?.tokens > 1;
    this.sides[0].textContent = divided ? "(" : "";
    this.sides[1].textContent = divided ? `) / ${numbers.tokens}` : "";
    this.pulls.caption.textContent = fill(text.gradient[this.kind], { n: numbers?.tokens ?? "–" });
    this.drawBars(frame);
    this.drawLattice(frame);
  }

  drawGrid(frame, gradient) {
    const probs = frame.arrays.probs.values;
    const path = this.pathClasses(frame);
    this.grid.cells.forEach((cell, i) => {
      const { p, arrow } = cell.parts;
      tint(cell, probs[i]);
      p.textContent = share(probs[i]);
      const pull = frame.handles.arrows && gradient ? -gradient[i] : 0;
      arrow.hidden = Math.abs(pull) < QUIET;
      arrow.dataset.way = pull > 0 ? "up" : "down";
      arrow.style.setProperty("--pull", Math.min(1, Math.abs(pull) / this.stage.data.arrowFull));
      if (this.kind === "ctc") cell.classList.toggle("lv-sequence-ringed", path?.[Math.floor(i / this.classes.length)] === i % this.classes.length);
    });
    this.grid.grid.dataset.seq = frame.seq;
  }

  /** The class that the best path says in each frame. */
  pathClasses(frame) {
    const { focus } = this.stage;
    const [path, states] = ["path", "states"].map((name) => frame.arrays[`${name}:${focus}`]?.values);
    return path && Array.from(path, (state) => states[state]);
  }

  drawShares({ cells, grid, caption }, values, seq) {
    cells.forEach((cell, i) => {
      const value = values?.[i];
      tint(cell, value);
      cell.textContent = share(value);
    });
    grid.setAttribute("aria-label", caption.textContent);
    grid.dataset.seq = seq;
  }

  /** Colours around 0; the ends are the largest gradient, and keep still while a finger drags unless it is exceeded. */
  drawPulls(values, seq) {
    const { cells, grid, caption } = this.pulls;
    const most = values ? values.reduce((top, value) => Math.max(top, Math.abs(value)), 0) : 0;
    if (!this.stage.held || most > (this.scale ?? 0)) this.scale = most;
    cells.forEach((cell, i) => {
      const value = values?.[i];
      tint(cell, this.scale ? Math.abs(value) / this.scale : 0);
      cell.dataset.sign = value < 0 ? "less" : "more";
      cell.textContent = signed(value);
    });
    this.pulls.note.firstElementChild.hidden = !values;
    this.ends[0].textContent = digits(-this.scale);
    this.ends[1].textContent = digits(this.scale).replace(/^(?=\d)/, "+");
    grid.setAttribute("aria-label", `${caption.textContent}, −${digits(this.scale)} … ${digits(this.scale)}`);
    grid.dataset.seq = seq;
  }

  drawBars(frame) {
    const { data } = this.stage;
    const bars = rows(frame.arrays.tokens);
    data.members.forEach((position, i) => this.bars.set(i, { y: bars[position] }));
    const most = frame.arrays.tokens.values.reduce((top, value) => (Number.isFinite(value) ? Math.max(top, value) : top), 0);
    // The range keeps still under the finger, unless a bar leaves the picture.
    if (!this.top || most > this.top) {
      this.top = FIT_SPARE * Math.max(1, most);
      this.bars.range("yaxis", 0, this.top);
    }
    const focus = data.losses.findIndex(({ key }) => key === this.stage.focus);
    const adds = rows(frame.arrays.shares)[focus];
    this.notes.forEach((note, t) => {
      note.textContent = this.padded[t] ? data.text.padding : Number.isFinite(adds?.[t]) ? fill(data.text.adds, { value: digits(adds[t]) }) : "";
    });
    this.heights = this.columns.map((t) => Math.max(0, ...bars.map((bar) => (Number.isFinite(bar[t]) ? bar[t] : 0))));
    this.bars.draw(frame.seq);
    this.placeNotes();
    if (this.kind === "tokens") {
      this.below.caption.textContent = data.text.tokens;
      const n = frame.numbers[this.stage.focus]?.tokens;
      this.pathNote.textContent = n ? fill(data.text.tokensNote, { n, name: data.losses[focus].name }) : "";
    }
  }

  placeNotes() {
    if (!this.heights) return;
    this.notes.forEach((note, t) => {
      const [left, top] = this.bars.place(t + 1, this.heights[t]);
      note.style.transform = `translate(-50%, -100%) translate(${left}px, ${top - 2}px)`;
    });
  }

  /** States from top to bottom, frames from left to right, in the columns of the grid above. */
  drawLattice(frame) {
    const { focus, data } = this.stage;
    const { text } = data;
    const array = (name) => frame.arrays[`${name}:${focus}`];
    const states = array("states")?.values;
    if (this.kind !== "ctc" || !states) return;
    const { clientWidth: width, clientHeight: height } = this.below.frame;
    const { l: gutter, r: edge } = this.bars.layout.margin;
    const column = (width - gutter - edge) / this.columns.length;
    const line = (height - LATTICE.top - LATTICE.bottom) / states.length;
    const radius = Math.min(LATTICE.widest, 0.42 * line, 0.4 * column);
    const at = (t, i) => [gutter + (t + 0.5) * column, LATTICE.top + (i + 0.5) * line];
    const posterior = array("posterior")?.values;
    const path = array("path")?.values;
    const chance = (t, i) => posterior?.[t * states.length + i];
    const root = this.lattice;
    root.setAttribute("viewBox", `0 0 ${width} ${height}`);
    root.replaceChildren();
    const segment = ([x1, y1], [x2, y2]) => `M${x1.toFixed(1)} ${y1.toFixed(1)}L${x2.toFixed(1)} ${y2.toFixed(1)}`;
    // A move is part of a path from end to end just where both of its states are.
    const edges = { on: "", off: "" };
    for (const [from, to] of rows(array("moves")))
      for (const t of this.columns.slice(1)) edges[chance(t - 1, from) > 0 && chance(t, to) > 0 ? "on" : "off"] += segment(at(t - 1, from), at(t, to));
    svg("path", { class: "lv-sequence-edges lv-sequence-off", d: edges.off }, root);
    svg("path", { class: "lv-sequence-edges", d: edges.on }, root);
    const best = path ? this.columns.slice(1).map((t) => segment(at(t - 1, path[t - 1]), at(t, path[t]))).join("") : "";
    svg("path", { class: "lv-sequence-best", d: best }, root);
    states.forEach((k, i) => {
      svg("text", { class: "lv-sequence-state", x: gutter - 18, y: at(0, i)[1] }, root).textContent = this.name(k);
      for (const t of this.columns) {
        const [x, y] = at(t, i);
        const value = chance(t, i);
        const node = svg("g", { class: "lv-sequence-node", "data-cell": t * this.classes.length + k }, root);
        node.classList.toggle("lv-sequence-on", path?.[t] === i);
        node.classList.toggle("lv-sequence-off", !(value > 0));
        node.style.setProperty("--share", `${Math.round(100 * (value ?? 0))}%`);
        svg("circle", { cx: x, cy: y, r: radius }, node);
        if (radius >= LATTICE.labelled && value > 0) svg("text", { x, y }, node).textContent = share(value);
      }
    });
    for (const t of this.columns) svg("text", { class: "lv-sequence-tick", x: at(t, 0)[0], y: height - LATTICE.bottom + 16 }, root).textContent = t + 1;
    svg("text", { class: "lv-sequence-tick", x: gutter + (width - gutter - edge) / 2, y: height - 10 }, root).textContent = text.unit.ctc;
    const labels = this.labels(frame.handles.target);
    this.below.caption.textContent = labels ? fill(text.lattice, { labels, paths: frame.numbers[focus]?.paths ?? 0 }) : text.latticeNone;
    const words = path ? fill(text.latticeNote, { path: this.pathClasses(frame).map((k) => this.name(k)).join(" ") }) : text.latticeShort;
    this.pathNote.textContent = words;
    root.setAttribute("aria-label", `${this.below.caption.textContent}. ${words}`);
    root.dataset.seq = frame.seq;
  }

  fit() {
    this.top = this.scale = 0;
    this.stage.ask();
  }

  redress() {
    this.bars.tokens = this.stage.tokens;
    this.bars.redraw();
  }

  summary(frame) {
    const { losses, text } = this.stage.data;
    const count = this.classes.length;
    const { cursor, target } = frame.handles;
    const cell = `${text.unit[this.kind]} ${Math.floor(cursor / count) + 1}, ${this.name(cursor % count)}`;
    const parts = losses.map((loss) => {
      const numbers = frame.numbers[loss.key];
      if (!numbers) return frame.notes[loss.key] ?? "";
      return fill(text.sentence, { name: loss.name, loss: digits(numbers.loss), cell, gradient: digits(numbers.gradient) });
    });
    const path = this.pathClasses(frame);
    const numbers = frame.numbers[this.stage.focus];
    const best = path && numbers ? fill(text.bestSentence, { path: path.map((k) => this.name(k)).join(" "), best: digits(numbers.best), paths: numbers.paths }) : "";
    return `${fill(text.position[this.kind], { labels: this.labels(target) })} ${parts.join(" ")} ${best}`;
  }

  table(frame) {
    const { focus, data } = this.stage;
    const { text, losses } = data;
    const name = losses.find(({ key }) => key === focus)?.name ?? "";
    const head = [text.unit[this.kind], text.aClass, text.logit, text.probability, text.wish, `${name}: ${text.slope}`];
    const [wanted, gradient] = ["wanted", "gradient"].map((array) => frame.arrays[`${array}:${focus}`]?.values ?? []);
    const body = frame.handles.logits.map((z, i) => [
      String(Math.floor(i / this.classes.length) + 1),
      this.name(i % this.classes.length),
      z,
      frame.arrays.probs.values[i],
      wanted[i] ?? null,
      gradient[i] ?? null,
    ]);
    return { head, body };
  }

  dispose() {
    clearTimeout(this.timer);
    this.resizing.disconnect();
    this.bars.dispose();
  }
}

/** Colour a cell by a share of 1. */
function tint(cell, value) {
  const percent = Number.isFinite(value) ? Math.round(100 * Math.min(1, value)) : 0;
  cell.style.setProperty("--share", `${percent}%`);
}
