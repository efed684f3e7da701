// Two distributions: p upwards, q downwards, as bars with a disc each or as bell curves with centre and width.

import { card } from "./cards.js";
import { digits, fill, h } from "./dom.js";
import { slider } from "./handles.js";
import { markOutside, outsideMarks } from "./outside.js";
import { Picture, rows } from "./plots.js";

const RANGE = { bars: 1.09, gaussians: 0.7 };
const TICKS = { bars: [0.25, 0.5, 0.75, 1], gaussians: [0.2, 0.4, 0.6] };
const ROWS = { mean: 26, width: 72 };
const AWAY = -1e4;
const FIT_SPARE = 1.12;
const SHELF = 4;
const BESIDE = { p: -0.18, q: 0.18 };
const ARROW_BESIDE = 0.12;

export function create(tools) {
  return new Distributions(tools);
}

class Distributions {
  constructor({ Plotly, stage, pictures }) {
    this.stage = stage;
    const { data } = stage;
    const { text, figures } = data;
    this.count = data.losses.length;
    stage.root.classList.add("lv-distributions");
    this.strip = h("span", { class: "lv-distributions-strip" }, h("i", {}, text.nats), ...Object.entries(text.shared).map(([name, label]) => this.reading(name, data.losses[0].key, label)));
    this.main = card("lv-main", "", this.strip);
    this.slides = card("lv-small", "");
    this.pulls = card("lv-small", "");
    pictures.append(this.main.element, this.slides.element, this.pulls.element);
    this.pair = new Picture(Plotly, this.main.plot, figures.pair);
    this.slide = new Picture(Plotly, this.slides.plot, figures.slide);
    this.pull = new Picture(Plotly, this.pulls.plot, figures.pull);
    this.pictures = [this.pair, this.slide, this.pull];
    for (const picture of this.pictures) {
      picture.tokens = stage.tokens;
      picture.drawn = () => this.place();
    }
    this.gradients = h("div", { class: "lv-distributions-gradients" });
    this.pulls.overlay.append(this.gradients);
    this.slides.overlay.append(h("p", { class: "lv-distributions-flat" }, text.flat));
    this.marks = outsideMarks(this.slides.overlay, data.losses);
    this.turn(stage.handles);
    for (const picture of this.pictures) picture.draw("");
    this.handles();
    this.main.frame.addEventListener("dblclick", () => this.fit());
  }

  reading(name, key, label) {
    return h("label", { class: "lv-distributions-reading" }, h("span", {}, label), h("output", { name, "data-loss": key, "data-value": "" }, "–"));
  }

  /** Bars or bell curves, losses or their change: axes and titles anew. */
  turn({ shape, slide }) {
    Object.assign(this, { shape, sliding: slide, fitted: false });
    const { bins, slides, text } = this.stage.data;
    const count = bins[shape];
    const high = RANGE[shape];
    const ticks = [...TICKS[shape].map((v) => -v).reverse(), 0, ...TICKS[shape]];
    const set = (picture, name, more) => {
      picture.layout[name] = { ...picture.layout[name], ...more };
      picture.stale = true;
    };
    const across = { range: [0.5, count + 0.5], dtick: count > 12 ? 4 : 1, tick0: 1 };
    set(this.pair, "xaxis", across);
    set(this.pull, "xaxis", across);
    set(this.pair, "yaxis", { range: [-high, high], tickvals: ticks, ticktext: ticks.map((v) => String(Math.abs(v))), title: { ...this.pair.layout.yaxis.title, text: text.pairAxis[shape] } });
    set(this.slide, "xaxis", { range: slides[shape] });
    set(this.slide, "yaxis", { title: { ...this.slide.layout.yaxis.title, text: text.slideAxis[slide] } });
    const titles = [[this.main, text.pair[shape]], [this.slides, text.slide[slide]], [this.pulls, text.pull[shape]]];
    for (const [each, title] of titles) each.element.querySelector("figcaption span").textContent = title;
    this.places = Float64Array.from({ length: bins.gaussians }, (_, k) => (k < count ? k + 1 : AWAY));
    this.named = undefined;
  }

  handles() {
    const { stage } = this;
    const { data } = stage;
    const { text } = data;
    const end = () => stage.report();
    const specs = Object.fromEntries(data.handleSpecs.map((spec) => [spec.name, spec]));
    const area = this.main.overlay;
    const mark = { p: ["lv-target", text.true], q: ["lv-pred", text.forecast] };
    const sign = { p: 1, q: -1 };
    this.names = ["p", "q"].map((name) => h("span", { class: `lv-distributions-name lv-distributions-${name}` }, mark[name][1]));
    area.append(...this.names);
    this.bars = ["p", "q"].flatMap((name) =>
      specs[name].default.map((start, k) => {
        const { low, high, step } = specs[name];
        const spec = { name: `${name}.${k}`, label: fill(text.bars[name], { k: k + 1 }), low, high, step, default: start };
        const handle = slider({
          area,
          spec,
          end,
          className: mark[name][0],
          place: (value) => this.pair.place(k + 1 + BESIDE[name], sign[name] * value),
          unplace: (left, top) => sign[name] * this.pair.unplace(left, top)[1],
          move: (_, value) => this.move({ [name]: stage.handles[name].map((old, j) => (j === k ? value : old)) }),
        });
        return { handle, read: () => stage.handles[name][k] };
      }),
    );
    this.spans = [];
    this.bells = ["p", "q"].flatMap((name) => {
      const row = (what) => (name === "p" ? ROWS[what] : this.main.frame.clientHeight - 52 - ROWS[what]) + (name === "p" ? 6 : 0);
      const centre = () => stage.handles[`${name}.mean`];
      // The width is held on the side that has room for it.
      const side = () => (centre() > data.bins.gaussians / 2 ? -1 : 1);
      const at = (value) => this.pair.place(value, 0)[0];
      const common = { area, end, className: mark[name][0] };
      const span = h("span", { class: `lv-distributions-span lv-distributions-${name}` }, h("i", {}, text.width));
      const rail = h("span", { class: "lv-track lv-distributions-rail" }, h("i", { class: `lv-distributions-${name}` }, text.centre[name]));
      area.append(span, rail);
      this.spans.push(() => {
        const [from, to] = [at(centre()), at(centre() + side() * stage.handles[`${name}.width`])];
        span.style.cssText = `left:${Math.min(from, to)}px;width:${Math.abs(to - from)}px;top:${row("width")}px`;
        rail.style.top = `${row("mean")}px`;
        span.classList.toggle("lv-to-left", side() < 0);
        span.hidden = rail.hidden = this.shape !== "gaussians";
      });
      const mean = slider({
        ...common,
        spec: specs[`${name}.mean`],
        place: (value) => [at(value), row("mean")],
        unplace: (left) => this.pair.unplace(left, 0)[0],
        move: (key, value) => this.move({ [key]: value }),
      });
      const width = slider({
        ...common,
        spec: specs[`${name}.width`],
        place: (value) => [at(centre() + side() * value), row("width")],
        unplace: (left) => side() * (this.pair.unplace(left, 0)[0] - centre()),
        move: (key, value) => this.move({ [key]: value }),
      });
      return [mean, width].map((handle) => ({ handle, read: () => stage.handles[handle.spec.name] }));
    });
  }

  move(values) {
    this.stage.moved(values);
    this.place();
  }

  /** Put every handle where the state says; also after a picture changed its size. */
  place() {
    if (!this.bells) return;
    for (const [shape, held] of [["bars", this.bars], ["gaussians", this.bells]]) {
      for (const { handle, read } of held) {
        handle.element.hidden = this.shape !== shape;
        if (this.shape === shape) handle.set(read());
      }
    }
    for (const span of this.spans) span();
    const [right] = this.pair.place(this.stage.data.bins[this.shape] + 0.5, 0);
    const high = RANGE[this.shape];
    this.names.forEach((name, i) => {
      name.hidden = this.shape !== "bars";
      const top = this.pair.place(1, i ? -high : high)[1];
      name.style.transform = `translate(${right - 8}px, ${top}px) translate(-100%, ${i ? -130 : 30}%)`;
    });
  }

  sync() {
    const { focus, data } = this.stage;
    const wanted = `${focus} ${this.shape}`;
    if (this.named !== wanted && data.losses.length) {
      this.named = wanted;
      const names = this.shape === "bars" ? Array.from({ length: data.bins.bars }, (_, k) => [`gradient.${k + 1}`, fill(data.text.byBin, { k: k + 1 })]) : ["gradient.mean", "gradient.width"].map((name) => [name, data.text[name]]);
      this.gradients.replaceChildren(...names.map(([name, label]) => this.reading(name, focus, label)));
      this.gradients.style.setProperty("--lv-distributions-focus", `var(--lv-loss${Math.max(0, data.losses.findIndex((loss) => loss.key === focus))})`);
    }
    this.place();
  }

  wanted() {
    const { focus } = this.stage;
    return ["pair", "pull", "slide", `descent:${focus}`, `formula:${focus}`];
  }

  draw(frame) {
    const { shape, slide } = frame.handles;
    if (shape !== this.shape || slide !== this.sliding) {
      const other = shape !== this.shape;
      this.turn(frame.handles);
      this.sync();
      if (other) this.stage.ask(); // the numbers beside the bins are others now
    }
    this.drawPair(frame);
    this.drawSlide(frame);
    this.drawPull(frame);
    this.sayInfinite(frame);
    this.place();
  }

  drawPair(frame) {
    const [p, q] = rows(frame.arrays.pair);
    const { arrows } = frame.handles;
    const many = this.places.length;
    const padded = (values, sign) => Float64Array.from({ length: many }, (_, k) => (Number.isFinite(values[k]) ? sign * values[k] : 0));
    this.pair.set(0, { x: this.places, y: padded(p, 1) });
    this.pair.set(1, { x: this.places, y: padded(q, -1) });
    this.pair.set(2, steps(q, 1));
    this.pair.set(3, steps(p, -1));
    const bars = this.shape === "bars";
    const stem = (name, sign) => {
      const heights = frame.handles[name];
      const x = heights.map((_, k) => k + 1 + BESIDE[name]);
      return { x: x.flatMap((v) => [v, v, null]), y: heights.flatMap((v) => [0, sign * v, null]) };
    };
    const none = { x: [], y: [] };
    this.pair.set(4, bars ? stem("p", 1) : none);
    this.pair.set(5, bars ? stem("q", -1) : none);
    const after = frame.arrays[`descent:${this.stage.focus}`];
    this.pair.set(6, arrows && after ? this.descent(frame.handles, Array.from(after.values)) : none);
    this.pair.draw(frame.seq);
  }

  /** Where a gradient step leads: from each disc of q. */
  descent(handles, after) {
    if (!after.every(Number.isFinite)) return { x: [], y: [] };
    if (this.shape === "bars") {
      const moves = after.map((to, k) => [k + 1 + BESIDE.q + ARROW_BESIDE, -handles.q[k], -to]);
      return { x: moves.flatMap(([x]) => [x, x, null]), y: moves.flatMap(([, from, to]) => [from, to, null]) };
    }
    const [mean, width] = after;
    const { "q.mean": centre, "q.width": wide } = handles;
    const side = centre > this.stage.data.bins.gaussians / 2 ? -1 : 1;
    const level = (what) => this.pair.unplace(0, this.main.frame.clientHeight - 52 - ROWS[what] + 14)[1];
    return {
      x: [centre, mean, null, centre + side * wide, centre + side * width, null],
      y: [level("mean"), level("mean"), null, level("width"), level("width"), null],
    };
  }

  drawSlide(frame) {
    const { arrays, numbers } = frame;
    const slope = this.sliding === "slope";
    const values = rows(slope ? arrays["slide.slope"] : arrays.slide);
    const x = slope ? arrays["slide.between"].values : arrays["slide.x"].values;
    const [trueCentre, centre] = arrays.centres.values;
    values.forEach((y, i) => this.slide.set(i, { x, y }));
    if (!this.fitted) this.fitTo(values, slope);
    const { range } = this.slide.layout.yaxis;
    this.slide.set(this.count, Number.isFinite(trueCentre) ? { x: [trueCentre, trueCentre], y: range } : { x: [], y: [] });
    const losses = this.stage.data.losses.map((loss) => numbers[loss.key]?.loss ?? null);
    const near = x.reduce((best, v, i) => (Math.abs(v - centre) < Math.abs(x[best] - centre) ? i : best), 0);
    const at = losses.map(() => (slope ? x[near] : centre));
    const heights = slope ? values.map((row) => row[near]) : losses;
    this.slide.set(this.count + 1, { x: at, y: heights });
    this.slide.draw(frame.seq);
    markOutside(this.slide, this.marks, at, heights);
  }

  drawPull(frame) {
    const pulls = rows(frame.arrays.pull);
    const bars = this.shape === "bars";
    const none = { x: [], y: [] };
    const away = new Float64Array(this.places.length).fill(AWAY);
    pulls.forEach((pull, i) => {
      const y = Float64Array.from({ length: this.places.length }, (_, k) => (Number.isFinite(pull[k]) ? pull[k] : 0));
      this.pull.set(i, { x: bars ? this.places : away, y });
      this.pull.set(this.count + i, bars ? none : steps(pull, 1));
    });
    if (!this.reach) this.fitPull(pulls);
    this.pull.range("yaxis", -this.reach, this.reach);
    this.pull.draw(frame.seq);
  }

  /** The middle loss decides, so that one without bounds flattens no other. */
  fitPull(pulls) {
    const tops = pulls.map((pull) => pull.reduce((most, v) => (Number.isFinite(v) ? Math.max(most, Math.abs(v)) : most), 0)).filter(Boolean);
    tops.sort((a, b) => a - b);
    this.reach = (tops[Math.floor(tops.length / 2)] ?? 1) * FIT_SPARE;
  }

  /** Low enough for the flattest loss to be seen; the steepest may leave the picture. Of changes the middle one decides. */
  fitTo(values, slope) {
    const tops = values.map((row) => row.reduce((most, v) => (Number.isFinite(v) ? Math.max(most, Math.abs(v)) : most), 0)).filter(Boolean);
    tops.sort((a, b) => a - b);
    const enough = slope ? tops[Math.floor(tops.length / 2)] : Math.min(tops.at(-1), SHELF * tops[0]);
    const top = (enough || 1) * FIT_SPARE;
    this.slide.range("yaxis", slope ? -top : -0.06 * top, top);
    this.reach = undefined;
    this.fitted = true;
  }

  /** A number that the server could not send is not unknown but infinite, where its loss has a value at all. */
  sayInfinite(frame) {
    for (const output of this.stage.root.querySelectorAll("output[data-loss]:not([data-line])")) {
      const number = frame.numbers[output.dataset.loss]?.[output.name];
      if (number === null && !output.name.startsWith("gradient")) output.textContent = digits(Infinity);
    }
  }

  fit() {
    this.fitted = false;
    this.stage.ask();
  }

  redress() {
    for (const picture of this.pictures) {
      picture.tokens = this.stage.tokens;
      picture.redraw();
    }
  }

  summary(frame) {
    const { data } = this.stage;
    const [p, q] = rows(frame.arrays.pair).map((row) => Array.from(row, (v) => v.toFixed(3)).join(", "));
    const loss = (key) => {
      const numbers = frame.numbers[key];
      return digits(numbers && numbers.loss === null ? Infinity : numbers?.loss);
    };
    const parts = data.losses.map(({ key, name }) => fill(data.text.sentence, { name, loss: loss(key) }));
    return `${fill(data.text.position, { p, q })} ${parts.join(" ")}`;
  }

  table(frame) {
    const { losses, text } = this.stage.data;
    const [p, q] = rows(frame.arrays.pair);
    const pulls = rows(frame.arrays.pull);
    const head = [text.aBin, text.true, text.forecast, ...losses.map((loss) => `${loss.name}: ${text.slope}`)];
    const body = Array.from(p, (v, k) => [String(k + 1), v, q[k], ...pulls.map((pull) => pull[k])]);
    return { head, body };
  }

  dispose() {
    this.stage.root.classList.remove("lv-distributions");
    for (const picture of this.pictures) picture.dispose();
  }
}

/** The outline of bars, one a bin. */
function steps(values, sign) {
  return {
    x: Array.from(values).flatMap((_, k) => [k + 0.5, k + 1.5]),
    y: Array.from(values).flatMap((v) => (Number.isFinite(v) ? [sign * v, sign * v] : [null, null])),
  };
}
