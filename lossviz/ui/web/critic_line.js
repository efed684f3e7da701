// The critic over the line: samples on two tracks below its curve, knots on it.

import { card } from "./cards.js";
import { arrowTrace, evenly, grouped, highest, partOf } from "./critic_parts.js";
import { digits, fill, h } from "./dom.js";
import { slider } from "./handles.js";
import { Picture, rows } from "./plots.js";

const BELOW = 96;
const TRACKS = { real: 52, fake: 80 };
const SPARE = 1.12;
/** Of a drawn critic, which has bounds. */
const ROOM = 1.1;
const APART = 6;

export class LineAct {
  constructor({ Plotly, stage, head, frame }) {
    this.space = "line";
    this.stage = stage;
    const { data } = stage;
    this.count = data.losses.length;
    this.card = card("lv-main lv-critic-main", data.text.critic, ...head);
    Object.assign(this, { element: this.card.element, overlay: this.card.overlay });
    frame.prepend(this.element);
    this.curve = new Picture(Plotly, this.card.plot, data.figures.critic);
    this.pictures = [this.curve];
    this.grid = evenly(data.grid);
    for (let i = 0; i <= this.count; i += 1) this.curve.set(i, { x: this.grid });
    this.curve.tokens = stage.tokens;
    this.curve.drawn = () => this.place();
    this.scale(data.most * ROOM);
    this.curve.draw("");
    this.handles();
    this.place();
  }

  handles() {
    const { stage } = this;
    const { data } = stage;
    const { text } = data;
    const spec = Object.fromEntries(data.handleSpecs.map((series) => [series.name, series]));
    const area = this.overlay;
    const end = () => stage.report();
    area.append(...Object.entries(TRACKS).map(([name, top]) => h("span", { class: "lv-track", style: `bottom:${BELOW - top}px` }, h("i", {}, text[name]))));
    const one = (name, i, label, where) =>
      slider({ area, spec: { ...spec[name], name: `${name}.${i}`, label, default: spec[name].default[i] }, className: `lv-critic-${name}`, end, move: (_, value) => this.move(name, i, value), ...where });
    const along = (top) => ({ place: (value) => [this.curve.place(value, 0)[0], this.card.frame.clientHeight - BELOW + top], unplace: (left) => this.curve.unplace(left, 0)[0] });
    this.samples = ["real", "fake"].flatMap((name) => spec[name].default.map((_, i) => ({ name, i, handle: one(name, i, fill(text[`${name}Sample`], { k: i + 1 }), along(TRACKS[name])) })));
    this.knots = data.knots.map((x, i) => ({
      name: "knots",
      i,
      handle: one("knots", i, fill(text.knot, { x: digits(x) }), { place: (value) => this.curve.place(x, value), unplace: (left, top) => this.curve.unplace(left, top)[1] }),
    }));
  }

  get elements() {
    return [...this.samples, ...this.knots].map(({ handle }) => handle.element);
  }

  move(name, i, value) {
    const moved = [...this.stage.handles[name]];
    moved[i] = value;
    this.stage.moved({ [name]: moved });
    this.place();
  }

  place() {
    if (!this.knots) return;
    const { handles } = this.stage;
    for (const { name, i, handle } of [...this.samples, ...this.knots]) handle.set(handles[name][i]);
  }

  sync() {
    for (const { handle } of this.knots) handle.element.hidden = this.stage.handles.critic !== "drawn";
    this.place();
  }

  wanted() {
    return [];
  }

  take() {}

  draw(frame) {
    const drawn = frame.handles.critic === "drawn";
    const curves = rows(frame.arrays.curve);
    curves.forEach((y, i) => this.curve.set(i, { y: drawn ? [] : y, x: drawn ? [] : this.grid }));
    this.curve.set(this.count, drawn ? { x: this.grid, y: curves[0] } : { x: [], y: [] });
    this.drawSamples(frame);
    this.curve.draw(frame.seq);
  }

  /** The samples on the curve of the loss in focus, and where a step of either side leads from here. */
  drawSamples(frame) {
    const { focus, data } = this.stage;
    const { handles, arrays } = frame;
    const at = data.losses.findIndex((loss) => loss.key === focus);
    const scores = rows({ values: partOf(arrays.scores, at), shape: [3, handles.real.length] });
    const penalised = data.losses[at] && !("side" in data.losses[at].params);
    this.curve.set(this.count + 1, penalised ? { x: arrays.between.values, y: scores[2] } : { x: [], y: [] });
    this.curve.set(this.count + 2, { x: handles.real, y: scores[0] });
    this.curve.set(this.count + 3, { x: handles.fake, y: scores[1] });
    const learning = handles.arrows ? grouped(partOf(arrays.learning, at), 2) : [];
    this.curve.set(this.count + 4, arrowTrace(learning.map(([from, to], i) => [data.knots[i], from, data.knots[i], to])));
    data.losses.forEach((_, j) => this.curve.set(this.count + 5 + j, arrowTrace(handles.arrows ? this.pulls(frame, j) : [])));
  }

  /** Where each loss pulls: from its own curve, or one below the other from the one that all of them share. */
  pulls({ handles, arrays }, j) {
    const size = handles.fake.length;
    const apart = handles.critic === "drawn" ? (j - (this.count - 1) / 2) * APART * this.perPixel : 0;
    return grouped(partOf(arrays.arrows, j), 2).map(([from, to], i) => {
      const y = partOf(arrays.scores, j)[size + i] - apart;
      return [from, y, to, y];
    });
  }

  /** What the vertical range belongs to. */
  scaledBy({ critic }) {
    return critic;
  }

  outside({ arrays }) {
    const most = this.curve.layout.yaxis.range[1];
    return arrays.curve.values.some((score) => Math.abs(score) > most);
  }

  /** Units of score by pixel. */
  get perPixel() {
    return this.curve.unplace(0, 0)[1] - this.curve.unplace(0, 1)[1];
  }

  scale(most) {
    this.curve.range("yaxis", -most, most);
  }

  fitTo({ handles, arrays }) {
    this.scale(handles.critic === "drawn" ? this.stage.data.most * ROOM : (highest(arrays.curve.values) || 1) * SPARE);
  }

  dispose() {
    this.curve.dispose();
  }
}
