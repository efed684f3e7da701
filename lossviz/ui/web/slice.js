// Any loss along a line through its inputs: its curve with the tangent, its slope, and the inputs as they are now.

import { card } from "./cards.js";
import { digits, fill, h } from "./dom.js";
import { Entry } from "./entry.js";
import { slider } from "./handles.js";
import { Picture, rows } from "./plots.js";

const TRACK = 62;
const BOTTOM = 92;
const MOST_VALUES = 12;
const SPARE = 0.08;

export function create(tools) {
  return new Slice(tools);
}

class Slice {
  constructor({ Plotly, stage, pictures, below }) {
    this.stage = stage;
    const { data } = stage;
    const { text, figures } = data;
    this.loss = data.losses[0];
    this.main = card("lv-main lv-curve", text.curve);
    const slope = card("lv-small lv-derivative", text.derivative);
    const inputs = card("lv-small lv-inputs", text.inputs);
    inputs.plot.remove();
    inputs.overlay.remove();
    this.inputs = inputs.frame;
    pictures.append(this.main.element, ...(figures.derivative ? [slope.element] : []), inputs.element);
    this.curve = new Picture(Plotly, this.main.plot, figures.curve);
    this.pictures = [this.curve];
    if (figures.derivative) {
      this.derivative = new Picture(Plotly, slope.plot, figures.derivative);
      this.pictures.push(this.derivative);
    } else inputs.element.classList.add("lv-wide");
    this.known = {};
    for (const picture of this.pictures) {
      picture.tokens = stage.tokens;
      picture.drawn = () => this.place();
      picture.draw("");
    }
    this.handle();
    this.main.frame.addEventListener("dblclick", () => this.fit());
    if (below) this.entry = new Entry(stage, below);
  }

  x(share) {
    const { low, high } = this.stage.data;
    return low + (high - low) * share;
  }

  handle() {
    const { data } = this.stage;
    const [spec] = data.handleSpecs;
    this.main.overlay.append(h("span", { class: "lv-track lv-track-wide", style: `bottom:${BOTTOM - TRACK}px` }));
    this.guide = h("span", { class: "lv-guide lv-guide-pred" });
    this.main.overlay.append(this.guide);
    this.slider = slider({
      area: this.main.overlay,
      spec: { ...spec, label: data.text.axis },
      className: "lv-pred",
      words: (share) => digits(this.x(share)),
      place: (share) => [this.curve.place(this.x(share), 0)[0], this.main.frame.clientHeight - BOTTOM + TRACK],
      unplace: (left) => (this.curve.unplace(left, 0)[0] - data.low) / (data.high - data.low),
      move: (_, t) => {
        this.stage.moved({ t });
        this.place();
      },
      end: () => this.stage.report(),
    });
  }

  place() {
    if (!this.slider) return;
    const { t } = this.stage.handles;
    this.slider.set(t);
    this.guide.style.transform = `translateX(${this.curve.place(this.x(t), 0)[0]}px)`;
  }

  sync() {
    this.place();
  }

  /** Curves depend on the parameters alone: they are asked for when those change. */
  wanted() {
    const { key } = this.loss;
    const held = JSON.stringify(this.stage.params[key]);
    const curves = held === this.drawnFor ? [] : [`curve:${key}`, `slopes:${key}`];
    const entry = this.entry ? this.entry.wanted(key) : [];
    return [...curves, `tangent:${key}`, `inputs:${key}`, `formula:${key}`, ...entry];
  }

  draw(frame) {
    const { key } = this.loss;
    const curve = frame.arrays[`curve:${key}`];
    if (curve) {
      const [x, y] = rows(curve);
      const [, slopes] = rows(frame.arrays[`slopes:${key}`]);
      Object.assign(this.known, { x, y, slopes });
      this.curve.set(0, { x, y });
      this.derivative?.set(0, { x, y: slopes });
      this.drawnFor = JSON.stringify(frame.params[key]);
      this.keepInSight();
    }
    const numbers = frame.numbers[key] ?? {};
    const tangent = frame.arrays[`tangent:${key}`];
    const [ends, heights] = tangent ? rows(tangent) : [[], []];
    this.curve.set(1, { x: ends, y: heights });
    this.curve.set(2, { x: [numbers.x], y: [numbers.loss ?? null] });
    this.derivative?.set(1, { x: [numbers.x], y: [numbers.gradient ?? null] });
    for (const picture of this.pictures) picture.draw(frame.seq);
    this.list(frame);
    this.entry?.draw(frame, key);
  }

  /** Each input by name, what moves in colour. */
  list(frame) {
    const { entry, text } = this.stage.data;
    const key = this.loss.key;
    const cells = Object.entries(entry?.inputs ?? {}).map(([name, { meaning, moves }]) => {
      const array = frame.arrays[`input.${name}:${key}`];
      const slope = frame.arrays[`grad.${name}:${key}`];
      const values = array ? matrix(array) : text.network;
      return h(
        "div",
        { class: `lv-input${moves ? " lv-moves" : ""}` },
        h("b", {}, name),
        h("code", { "data-input": name }, values),
        slope ? h("i", {}, text.gradient) : null,
        slope ? h("code", { "data-gradient": name }, matrix(slope)) : null,
        h("span", {}, meaning),
      );
    });
    this.inputs.replaceChildren(h("div", { class: "lv-input-list" }, ...cells));
  }

  fit() {
    this.ranged = false;
    this.keepInSight();
    for (const picture of this.pictures) picture.draw(this.stage.frame?.seq ?? "");
  }

  /** The range stays while parameters change, unless the curve leaves it or fills but a small part. */
  keepInSight() {
    const { y, slopes } = this.known;
    if (!y) return;
    this.ranges = this.pictures.map((picture, i) => {
      const [low, high] = span([y, slopes][i]);
      const [was, to] = (this.ranged && this.ranges?.[i]) || [0, 0];
      const fits = low >= was && high <= to && high - low > 0.25 * (to - was);
      const range = fits ? [was, to] : [low - SPARE * (high - low), high + SPARE * (high - low)];
      picture.range("yaxis", ...range);
      return range;
    });
    this.ranged = true;
  }

  redress() {
    for (const picture of this.pictures) {
      picture.tokens = this.stage.tokens;
      picture.redraw();
    }
    this.entry?.redress();
  }

  summary(frame) {
    const { text } = this.stage.data;
    const numbers = frame.numbers[this.loss.key] ?? {};
    const sentence = fill(text.sentence, { name: this.loss.name, loss: digits(numbers.loss), gradient: digits(numbers.gradient) });
    return `${fill(text.position, { axis: text.axis, x: digits(numbers.x) })} ${sentence}`;
  }

  table() {
    const { text } = this.stage.data;
    const { x = [], y = [], slopes = [] } = this.known;
    const body = Array.from(x, (value, i) => [value, y[i], slopes[i]]).filter((_, i) => i % 4 === 0);
    return { head: [text.axis, this.loss.name, text.slope], body };
  }

  dispose() {
    this.entry?.dispose();
    for (const picture of this.pictures) picture.dispose();
  }
}

/** The lowest and highest finite value; a flat line gets some air. */
function span(values) {
  const finite = Array.from(values).filter(Number.isFinite);
  if (!finite.length) return [0, 1];
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  return high - low > 1e-6 * (1 + Math.abs(high)) ? [low, high] : [low - 0.5, high + 0.5];
}

/** A tensor as text: brackets as Python prints them, shortened where it is long. */
function matrix({ shape, values }) {
  if (values.length > MOST_VALUES) return `${Array.from(values.slice(0, MOST_VALUES), short).join(", ")}, …  (${shape.join(" × ")})`;
  const nest = (axis, start, size) => {
    if (axis === shape.length) return short(values[start]);
    const step = size / shape[axis];
    return `[${Array.from({ length: shape[axis] }, (_, i) => nest(axis + 1, start + i * step, step)).join(", ")}]`;
  };
  return nest(0, 0, values.length);
}

const short = (value) => String(Number(value.toPrecision(4))).replace("-", "−");
