// Scalar regression: prediction and label on a line; curves, derivative, contour or surface.

import { card, swatch } from "./cards.js";
import { digits, fill, h } from "./dom.js";
import { plane, slider } from "./handles.js";
import { LossMap } from "./map.js";
import { Picture, rows } from "./plots.js";

const TRACKS = { pred: 50, target: 76 };
const WINDOW = 3;
const FIT_SPARE = 1.12;
/** The home page's prediction goes to and fro this often and this slowly, and rests where it began. */
const [TURNS, TURN_MS] = [2, 15_000];

export function create(tools) {
  return new Regression(tools);
}

export class Regression {
  constructor({ Plotly, stage, pictures }) {
    this.stage = stage;
    const { data } = stage;
    const { text, figures } = data;
    this.count = data.losses.length;
    this.main = data.hero ? card("lv-main lv-curve", "", legend(data)) : card("lv-main lv-curve", text.curve);
    this.main.plot.setAttribute("role", "img");
    this.main.plot.setAttribute("aria-label", text.curve);
    pictures.append(this.main.element);
    this.curve = new Picture(Plotly, this.main.plot, figures.curve);
    this.pictures = [this.curve];
    if (!data.hero) this.more(Plotly, pictures, figures, text);
    for (const picture of this.pictures) {
      picture.tokens = stage.tokens;
      picture.drawn = () => this.place();
    }
    const grid = Float64Array.from({ length: 401 }, (_, i) => data.low + ((data.high - data.low) * i) / 400);
    for (let i = 0; i < this.count; i += 1) {
      this.curve.set(i, { x: grid });
      this.derivative?.set(i, { x: grid });
    }
    this.grid = grid;
    this.curve.draw("");
    this.derivative?.draw("");
    this.map?.contour.draw("");
    this.handles();
    this.main.frame.addEventListener("dblclick", () => this.fit());
  }

  more(Plotly, pictures, figures, text) {
    const { stage } = this;
    const { low, high } = stage.data;
    const side = Float64Array.from({ length: 61 }, (_, i) => low + ((high - low) * i) / 60);
    const slope = card("lv-small lv-derivative", text.derivative);
    this.map = new LossMap({
      Plotly,
      stage,
      className: "lv-small",
      contour: figures.contour,
      surface: figures.surface,
      grid: { x: side, y: side },
      key: (handles) => this.mapKey(handles),
      views: ["surface"],
    });
    this.slope = slope.element;
    pictures.append(slope.element, this.map.element);
    this.derivative = new Picture(Plotly, slope.plot, figures.derivative);
    this.pictures.push(this.derivative, ...this.map.pictures);
  }

  handles() {
    const { stage } = this;
    const { data } = stage;
    const end = () => {
      stage.report();
      this.keepInSight();
    };
    const along = (track) => ({
      place: (value) => [this.curve.place(value, 0)[0], this.main.frame.clientHeight - 92 + TRACKS[track]],
      unplace: (left) => this.curve.unplace(left, 0)[0],
    });
    this.main.overlay.append(
      ...["pred", "target"].map((name) => h("span", { class: "lv-track", style: `bottom:${92 - TRACKS[name]}px` }, h("i", {}, data.handleSpecs.find((spec) => spec.name === name).label))),
    );
    this.guides = ["pred", "target"].map((name) => h("span", { class: `lv-guide lv-guide-${name}` }));
    this.main.overlay.append(...this.guides);
    const specs = data.handleSpecs.filter((spec) => spec.name in TRACKS);
    this.sliders = specs.map((spec) =>
      slider({ area: this.main.overlay, spec, ...along(spec.name), className: `lv-${spec.name}`, end, move: (name, value) => this.move({ [name]: value }) }),
    );
    if (this.map) {
      this.point = plane({
        area: this.map.overlay,
        name: "point",
        label: data.text.point,
        specs,
        className: "lv-point",
        place: (pred, target) => this.map.contour.place(pred, target),
        unplace: (left, top) => this.map.contour.unplace(left, top),
        move: ([pred, target]) => this.move({ pred, target }),
        end,
      });
    }
  }

  /** What the map depends on beside its loss. */
  mapKey() {
    return "";
  }

  move(values) {
    this.still?.();
    this.stage.moved(values);
    this.place();
  }

  /** Put every handle where the state says; also after a picture changed its size. */
  place() {
    if (!this.sliders) return;
    const { handles } = this.stage;
    for (const handle of this.sliders) handle.set(handles[handle.spec.name]);
    this.guides.forEach((guide, i) => {
      guide.style.transform = `translateX(${this.curve.place(handles[["pred", "target"][i]], 0)[0]}px)`;
    });
    this.point?.set([handles.pred, handles.target]);
  }

  sync() {
    this.place();
    this.map?.sync();
  }

  wanted() {
    if (!this.map) return ["curve"];
    return ["curve", "derivative", `formula:${this.stage.focus}`, ...this.map.wanted()];
  }

  draw(frame) {
    const { curve, tangent, arrows, derivative } = frame.arrays;
    const keys = this.stage.data.losses.map((loss) => loss.key);
    const ends = rows({ ...tangent, shape: [this.count * 2, 2] });
    rows(curve).forEach((y, i) => {
      this.curve.set(i, { y });
      this.curve.set(this.count + i, { x: ends[2 * i], y: ends[2 * i + 1] });
    });
    const values = keys.map((key) => frame.numbers[key]?.loss ?? null);
    const at = keys.map(() => frame.handles.pred);
    this.curve.set(2 * this.count, { x: at, y: values });
    this.curve.set(2 * this.count + 1, frame.handles.arrows ? arrowTrace(rows(arrows), values) : { x: [], y: [] });
    if (!this.fitted) this.fitTo(frame);
    this.curve.draw(frame.seq);
    if (!this.map) return;
    const kind = frame.handles.below;
    if (kind !== this.kind) this.turn(kind, frame);
    rows(derivative).forEach((y, i) => this.derivative.set(i, { y }));
    const under = kind === "influence" ? frame.handles.target : frame.handles.pred;
    this.derivative.set(this.count, { x: keys.map(() => under), y: Array.from(frame.arrays.below.values) });
    this.derivative.draw(frame.seq);
    this.map.draw(frame);
  }

  /** The picture below shows something else: its titles and range are others. */
  turn(kind, frame) {
    const { text } = this.stage.data;
    const [title, x, y] = text.below[kind];
    this.kind = kind;
    this.slope.querySelector("figcaption span").textContent = title;
    for (const [axis, word] of [["xaxis", x], ["yaxis", y]]) {
      const { layout } = this.derivative;
      layout[axis] = { ...layout[axis], title: { ...layout[axis].title, text: word } };
    }
    this.derivative.stale = true;
    this.fitTo(frame);
  }

  fit() {
    this.fitted = false;
    this.stage.ask();
  }

  /** Ranges from the losses near the label, so that a parabola's far ends do not flatten the rest. */
  fitTo(frame) {
    const { pred, target } = frame.handles;
    const reach = Math.max(WINDOW, Math.abs(pred - target) + 0.5);
    const near = Array.from(this.grid, (x) => Math.abs(x - target) <= reach);
    const highest = (array, size) => array.values.reduce((most, v, i) => (near[i % this.grid.length] && Number.isFinite(v) ? Math.max(most, size(v)) : most), 0);
    const top = highest(frame.arrays.curve, (v) => v) || 1;
    const bottom = -highest(frame.arrays.curve, (v) => -v);
    this.curve.range("yaxis", Math.min(-0.04 * top, bottom * FIT_SPARE), top * FIT_SPARE);
    if (this.derivative) {
      const steep = (highest(frame.arrays.derivative, Math.abs) || 1) * FIT_SPARE;
      this.derivative.range("yaxis", -steep, steep);
    }
    this.fitted = true;
  }

  /** Axes keep their range under the finger; a point that has left the picture brings a new range once let go. */
  keepInSight() {
    const frame = this.stage.frame;
    const top = this.curve.layout.yaxis.range?.[1] ?? Infinity;
    if (frame && Object.values(frame.numbers).some((numbers) => numbers.loss > top)) this.fit();
  }

  redress() {
    for (const picture of this.pictures) {
      picture.tokens = this.stage.tokens;
      picture.redraw();
    }
  }

  summary(frame) {
    const { data } = this.stage;
    const { pred, target } = frame.handles;
    const parts = data.losses.map((loss) => {
      const numbers = frame.numbers[loss.key];
      return fill(data.text.sentence, { name: loss.name, loss: digits(numbers?.loss), gradient: digits(numbers?.gradient) });
    });
    return `${fill(data.text.position, { pred: digits(pred), target: digits(target) })} ${parts.join(" ")}`;
  }

  table(frame) {
    const { losses, text } = this.stage.data;
    const curves = rows(frame.arrays.curve);
    const slopes = rows(frame.arrays.derivative);
    const head = [text.prediction, ...losses.flatMap((loss) => [loss.name, `${loss.name}: ${text.slope}`])];
    const body = [];
    for (let i = 0; i < this.grid.length; i += 20) {
      body.push([this.grid[i], ...losses.flatMap((_, j) => [curves[j][i], slopes[j][i]])]);
    }
    return { head, body };
  }

  /** On the home page the prediction moves by itself, slowly, until somebody takes it or nobody seems to look. */
  wander() {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (calm) return;
    const start = performance.now();
    const step = (now) => {
      if (!this.wandering || !this.main.element.isConnected) return;
      const turns = Math.min(TURNS, (now - start) / TURN_MS);
      this.wandering = turns < TURNS;
      const pred = 0.5 + 3 * Math.sin(2 * Math.PI * turns);
      this.stage.handles.pred = Math.round(pred * 1000) / 1000;
      this.place();
      this.stage.ask();
      requestAnimationFrame(step);
    };
    this.wandering = true;
    this.still = () => (this.wandering = false);
    this.main.overlay.addEventListener("pointerdown", this.still, { once: true, capture: true });
    this.main.overlay.addEventListener("focusin", this.still, { once: true });
    requestAnimationFrame(step);
  }

  dispose() {
    this.map?.dispose();
    this.wandering = false;
    for (const picture of this.pictures) picture.dispose();
  }
}

/** Where no numbers stand beside the picture: each loss's mark, name and value above it. */
function legend({ losses, dashes }) {
  const entry = (loss, i) => h("span", {}, swatch(i, dashes[i]), ` ${loss.name} `, h("output", { name: "loss", "data-loss": loss.key, "data-value": "" }));
  return h("span", { class: "lv-legend" }, ...losses.map(entry));
}

/** One trace for all arrows: from each point to where a gradient step would move it. */
function arrowTrace(steps, values) {
  const ends = steps.flatMap(([from, to], i) => (values[i] == null ? [] : [[from, to, values[i]]]));
  return { x: ends.flatMap(([from, to]) => [from, to, null]), y: ends.flatMap(([, , y]) => [y, y, null]) };
}
