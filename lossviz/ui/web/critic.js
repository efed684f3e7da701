// Critic and generator: samples on two tracks, the critic's curve at its knots, the pull over the distance, bars.

import { card } from "./cards.js";
import { digits, fill, h } from "./dom.js";
import { slider } from "./handles.js";
import { Picture, rows } from "./plots.js";

const BELOW = 96;
const TRACKS = { real: 52, fake: 80 };
const SIDES = ["generator", "discriminator"];
const SPARE = 1.12;
const APART = 6;
const DECADES = 4;

export function create(tools) {
  return new Critic(tools);
}

const evenly = ([low, high, count]) => Float64Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1));

class Critic {
  constructor({ Plotly, stage, pictures }) {
    this.stage = stage;
    const { data } = stage;
    const { text, figures } = data;
    this.count = data.losses.length;
    this.turns = SIDES.map((side) => h("button", { type: "button", class: "lv-tab lv-critic-turn", "data-turn": side, onclick: () => this.turn(side) }, text[side]));
    const turns = h("span", { class: "lv-tabs", role: "group", "aria-label": text.turn, title: text.turn }, ...this.turns);
    this.main = card("lv-main lv-critic-main", text.critic, turns);
    const reach = card("lv-small lv-critic-reach", text.reach);
    const bars = card("lv-small lv-critic-bars", text.bars);
    pictures.append(this.main.element, reach.element, bars.element);
    this.curve = new Picture(Plotly, this.main.plot, figures.critic);
    this.reach = new Picture(Plotly, reach.plot, figures.reach);
    this.bars = new Picture(Plotly, bars.plot, figures.bars);
    this.pictures = [this.curve, this.reach, this.bars];
    const grid = evenly(data.grid);
    const distances = evenly(data.distances);
    for (let i = 0; i < this.count; i += 1) {
      this.curve.set(i, { x: grid });
      this.reach.set(i, { x: distances });
    }
    this.curve.set(this.count, { x: grid });
    for (const picture of this.pictures) picture.tokens = stage.tokens;
    this.curve.drawn = () => this.place();
    this.scale(data.most * 1.1);
    this.reach.range("yaxis", 1 - DECADES, 1);
    this.bars.range("yaxis", -1, 1);
    for (const picture of this.pictures) picture.draw("");
    this.handles();
    this.main.overlay.addEventListener("pointerdown", (event) => this.nearest(event), { capture: true });
    this.main.frame.addEventListener("dblclick", () => this.fit());
  }

  handles() {
    const { stage } = this;
    const { data } = stage;
    const { text } = data;
    const spec = Object.fromEntries(data.handleSpecs.map((series) => [series.name, series]));
    const area = this.main.overlay;
    const end = () => stage.report();
    area.append(...Object.entries(TRACKS).map(([name, top]) => h("span", { class: "lv-track", style: `bottom:${BELOW - top}px` }, h("i", {}, text[name]))));
    const one = (name, i, label, where) =>
      slider({ area, spec: { ...spec[name], name: `${name}.${i}`, label, default: spec[name].default[i] }, className: `lv-critic-${name}`, end, move: (_, value) => this.move(name, i, value), ...where });
    const along = (top) => ({ place: (value) => [this.curve.place(value, 0)[0], this.main.frame.clientHeight - BELOW + top], unplace: (left) => this.curve.unplace(left, 0)[0] });
    this.samples = ["real", "fake"].flatMap((name) => spec[name].default.map((_, i) => ({ name, i, handle: one(name, i, fill(text[`${name}Sample`], { k: i + 1 }), along(TRACKS[name])) })));
    this.knots = data.knots.map((x, i) => ({
      name: "knots",
      i,
      handle: one("knots", i, fill(text.knot, { x: digits(x) }), { place: (value) => this.curve.place(x, value), unplace: (left, top) => this.curve.unplace(left, top)[1] }),
    }));
  }

  /** Samples may lie closer together than a finger is wide: the nearest disc is the one that is held. */
  nearest(event) {
    const under = event.target.closest(".lv-handle");
    if (!under || !event.isTrusted) return;
    const distance = (element) => {
      const { left, top, width, height } = element.getBoundingClientRect();
      return Math.hypot(left + width / 2 - event.clientX, top + height / 2 - event.clientY);
    };
    const near = [...this.samples, ...this.knots].map(({ handle }) => handle.element).filter((element) => !element.hidden);
    const held = near.reduce((best, element) => (distance(element) < distance(best) ? element : best), under);
    if (held === under) return;
    event.stopPropagation();
    event.preventDefault();
    held.dispatchEvent(new PointerEvent("pointerdown", event));
  }

  move(name, i, value) {
    const moved = [...this.stage.handles[name]];
    moved[i] = value;
    this.stage.moved({ [name]: moved });
    this.place();
  }

  /** Every loss that has sides takes this one. */
  turn(side) {
    const { stage } = this;
    stage.pause();
    for (const params of Object.values(stage.params)) if ("side" in params) params.side = side;
    stage.sync();
    stage.report();
  }

  get drawnByHand() {
    return this.stage.handles.critic === "drawn";
  }

  place() {
    if (!this.knots) return;
    const { handles } = this.stage;
    for (const { name, i, handle } of [...this.samples, ...this.knots]) handle.set(handles[name][i]);
  }

  sync() {
    const { focus, params } = this.stage;
    const side = params[focus]?.side ?? "discriminator";
    for (const button of this.turns) button.setAttribute("aria-pressed", String(button.dataset.turn === side));
    for (const { handle } of this.knots) handle.element.hidden = !this.drawnByHand;
    if (this.kind !== this.stage.handles.critic) {
      this.kind = this.stage.handles.critic;
      this.fitted = false;
    }
    this.place();
  }

  wanted() {
    return ["curve", "bars", "reach", `formula:${this.stage.focus}`];
  }

  draw(frame) {
    const { losses } = this.stage.data;
    const { curve, reach, bars, apart } = frame.arrays;
    const drawn = frame.handles.critic === "drawn";
    const curves = rows(curve);
    curves.forEach((y, i) => this.curve.set(i, { y: drawn ? [] : y, x: drawn ? [] : this.grid() }));
    this.curve.set(this.count, drawn ? { x: this.grid(), y: curves[0] } : { x: [], y: [] });
    this.drawSamples(frame);
    if (!this.fitted || this.outside(curve)) this.fitTo(frame);
    this.curve.draw(frame.seq);
    rows(reach).forEach((y, i) => this.reach.set(i, { y: Array.from(y, (size) => (size > 0 ? size : null)) }));
    const pulls = losses.map((loss) => frame.numbers[loss.key]?.pull || null);
    this.reach.set(this.count, { x: pulls.map(() => apart.values[0]), y: pulls });
    this.reach.draw(frame.seq);
    rows(bars).forEach((y, i) => this.bars.set(i, { y }));
    this.growBars(bars.values);
    this.bars.draw(frame.seq);
  }

  grid() {
    return (this.xs ??= evenly(this.stage.data.grid));
  }

  /** The samples on the curve of the loss in focus, and where a step of either side leads from here. */
  drawSamples(frame) {
    const { focus, data } = this.stage;
    const { handles, arrays } = frame;
    const at = data.losses.findIndex((loss) => loss.key === focus);
    const part = (array) => {
      const size = array.values.length / this.count;
      return array.values.subarray(at * size, (at + 1) * size);
    };
    const scores = rows({ values: part(arrays.scores), shape: [3, handles.real.length] });
    const penalised = data.losses[at] && !("side" in data.losses[at].params);
    this.curve.set(this.count + 1, penalised ? { x: arrays.between.values, y: scores[2] } : { x: [], y: [] });
    this.curve.set(this.count + 2, { x: handles.real, y: scores[0] });
    this.curve.set(this.count + 3, { x: handles.fake, y: scores[1] });
    const learning = handles.arrows ? pairs(part(arrays.learning)) : [];
    this.curve.set(this.count + 4, arrowTrace(learning.map(([from, to], i) => [data.knots[i], from, data.knots[i], to])));
    data.losses.forEach((_, j) => this.curve.set(this.count + 5 + j, arrowTrace(handles.arrows ? this.pulls(frame, j) : [])));
  }

  /** Where each loss pulls: from its own curve, or one below the other from the one that all of them share. */
  pulls({ handles, arrays }, j) {
    const size = handles.fake.length;
    const apart = handles.critic === "drawn" ? (j - (this.count - 1) / 2) * APART * this.perPixel : 0;
    return handles.fake.map((_, i) => {
      const [from, to] = arrays.arrows.values.subarray((j * size + i) * 2);
      const y = arrays.scores.values[(j * 3 + 1) * size + i] - apart;
      return [from, y, to, y];
    });
  }

  outside(curve) {
    const most = this.curve.layout.yaxis.range[1];
    return !this.stage.held && curve.values.some((score) => Math.abs(score) > most);
  }

  /** Units of score by pixel. */
  get perPixel() {
    return this.curve.unplace(0, 0)[1] - this.curve.unplace(0, 1)[1];
  }

  scale(most) {
    this.curve.range("yaxis", -most, most);
  }

  fitTo(frame) {
    const { curve, reach } = frame.arrays;
    const highest = (values) => values.reduce((most, v) => (Number.isFinite(v) ? Math.max(most, Math.abs(v)) : most), 0);
    this.scale(frame.handles.critic === "drawn" ? this.stage.data.most * 1.1 : (highest(curve.values) || 1) * SPARE);
    const top = Math.log10((highest(reach.values) || 1) * 1.5);
    this.reach.range("yaxis", top - DECADES, top);
    this.most = undefined;
    this.fitted = true;
  }

  growBars(values) {
    const most = values.reduce((top, v) => (Number.isFinite(v) ? Math.max(top, Math.abs(v)) : top), 0);
    if (this.most !== undefined && most <= this.most) return;
    this.most = (most || 1) * SPARE;
    this.bars.range("yaxis", -this.most, this.most);
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
    const list = (values) => values.map((value) => value.toFixed(2)).join(", ");
    const parts = data.losses.map((loss) => {
      const numbers = frame.numbers[loss.key] ?? {};
      const gradient = frame.handles.fake.map((_, i) => digits(numbers[`gradient.${i + 1}`])).join(", ");
      return fill(data.text.sentence, { name: loss.name, loss: digits(numbers.loss), pull: digits(numbers.pull), gradient });
    });
    return `${fill(data.text.position, { real: list(frame.handles.real), fake: list(frame.handles.fake) })} ${parts.join(" ")}`;
  }

  table(frame) {
    const { losses, text } = this.stage.data;
    const size = frame.handles.real.length;
    const score = (j, kind, i) => frame.arrays.scores.values[(j * 3 + kind) * size + i];
    const head = [text.sample, text.place, ...losses.flatMap((loss) => [`${loss.name}: ${text.score}`, `${loss.name}: ${text.slope}`])];
    const row = (name, kind, i) => [
      fill(text[`${name}Sample`], { k: i + 1 }),
      frame.handles[name][i],
      ...losses.flatMap((loss, j) => [score(j, kind, i), name === "fake" ? (frame.numbers[loss.key]?.[`gradient.${i + 1}`] ?? "–") : "–"]),
    ];
    return { head, body: ["real", "fake"].flatMap((name, kind) => frame.handles[name].map((_, i) => row(name, kind, i))) };
  }

  dispose() {
    for (const picture of this.pictures) picture.dispose();
  }
}

const pairs = (values) => Array.from({ length: values.length / 2 }, (_, i) => [values[2 * i], values[2 * i + 1]]);

/** One trace for all arrows: from each point to where a step takes it. */
function arrowTrace(moves) {
  const seen = moves.filter((move) => move.every(Number.isFinite));
  return { x: seen.flatMap(([x, , to]) => [x, to, null]), y: seen.flatMap(([, y, , to]) => [y, to, null]) };
}
