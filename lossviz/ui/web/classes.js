// Three classes: probabilities on the simplex, the label at a corner, logits on their tracks, gradients as bars.

import { card } from "./cards.js";
import { clamp, digits, fill, h } from "./dom.js";
import { plane, slider } from "./handles.js";
import { LossMap } from "./map.js";
import { Picture, rows } from "./plots.js";

const HEIGHT = Math.sqrt(3) / 2;
const CORNERS = [[0, 0], [1, 0], [0.5, HEIGHT]];
const SMALLEST = 1e-3;
const SIDE = 81;
const ARROW_REACH = 0.3;
const LOGITS = ["z1", "z2", "z3"];
const TRACK = { top: 44, gap: 62, left: 84, right: 30 };

export function create(tools) {
  return new Classes(tools);
}

/** Where a probability vector lies in the picture, and back: barycentric coordinates. */
const toPlane = ([, second, third]) => [second + third / 2, third * HEIGHT];

function fromPlane(x, y) {
  const third = y / HEIGHT;
  const second = x - third / 2;
  const kept = [1 - second - third, second, third].map((p) => Math.max(SMALLEST, p));
  const sum = kept.reduce((a, b) => a + b);
  return kept.map((p) => p / sum);
}

class Classes {
  constructor({ Plotly, stage, pictures }) {
    this.stage = stage;
    const { data } = stage;
    const { text, figures } = data;
    const x = Float64Array.from({ length: SIDE }, (_, i) => i / (SIDE - 1));
    this.map = new LossMap({
      Plotly,
      stage,
      className: "lv-main",
      contour: figures.simplex,
      surface: figures.surface,
      grid: { x, y: x.map((v) => v * HEIGHT) },
      key: (handles) => [handles.label, handles.arrows],
      views: ["surface", "arrows"],
    });
    this.simplex = this.map.contour;
    const logits = card("lv-small lv-logits", text.logits);
    logits.plot.remove();
    const bars = card("lv-small lv-bars", text.bars);
    this.logits = logits;
    pictures.classList.add("lv-classes");
    pictures.append(this.map.element, logits.element, bars.element);
    this.bars = new Picture(Plotly, bars.plot, figures.bars);
    this.pictures = [this.bars, ...this.map.pictures];
    for (const picture of this.pictures) picture.tokens = stage.tokens;
    this.simplex.drawn = () => this.place();
    this.simplex.draw("");
    this.bars.draw("");
    this.tracks = new ResizeObserver(() => this.place());
    this.tracks.observe(logits.frame);
    this.handles();
    this.map.frame.addEventListener("dblclick", () => this.fit());
  }

  handles() {
    const { stage } = this;
    const { data } = stage;
    const end = () => stage.report();
    const specs = Object.fromEntries(data.handleSpecs.map((spec) => [spec.name, spec]));
    const width = () => this.logits.frame.clientWidth - TRACK.left - TRACK.right;
    const { low, high } = specs.z1;
    this.outputs = LOGITS.map((name, i) => {
      const output = h("output", { class: "lv-share", name: `p.${i + 1}`, "data-value": "" });
      this.logits.overlay.append(
        h("span", { class: "lv-track", style: `top:${TRACK.top + i * TRACK.gap}px` }, h("i", {}, fill(data.text.aClass, { k: i + 1 })), output),
      );
      return output;
    });
    this.sliders = LOGITS.map((name, i) =>
      slider({
        area: this.logits.overlay,
        spec: specs[name],
        className: "lv-pred",
        place: (value) => [TRACK.left + ((value - low) / (high - low)) * width(), TRACK.top + i * TRACK.gap],
        unplace: (left) => low + ((left - TRACK.left) / width()) * (high - low),
        move: (_, value) => this.move({ [name]: value }),
        end,
      }),
    );
    this.label = slider({
      area: this.map.overlay,
      spec: specs.label,
      className: "lv-target",
      place: (value) => this.simplex.place(...CORNERS[value - 1]),
      unplace: (left, top) => {
        const far = CORNERS.map((corner) => Math.hypot(...this.simplex.place(...corner).map((v, i) => v - [left, top][i])));
        return far.indexOf(Math.min(...far)) + 1;
      },
      move: (_, label) => this.move({ label }),
      end,
    });
    const axis = (name, label, most) => ({ name, label, low: 0, high: most, step: 0.02, default: 0 });
    this.point = plane({
      area: this.map.overlay,
      name: "p",
      label: data.text.point,
      className: "lv-pred",
      specs: [axis("x", data.text.pointX, 1), axis("y", data.text.pointY, HEIGHT)],
      place: (x, y) => this.simplex.place(x, y),
      unplace: (left, top) => this.simplex.unplace(left, top),
      move: ([x, y]) => this.movePoint(fromPlane(x, y)),
      end,
    });
    this.names = CORNERS.map((_, i) => h("span", { class: "lv-corner" }, fill(data.text.aClass, { k: i + 1 })));
    this.map.overlay.append(...this.names);
  }

  /** Probabilities fix logits up to a constant: their mean stays what it was. */
  movePoint(probs) {
    const { handles } = this.stage;
    const { low, high } = this.stage.data.handleSpecs[0];
    const mean = LOGITS.reduce((sum, name) => sum + handles[name], 0) / 3;
    const logs = probs.map(Math.log);
    const shift = mean - logs.reduce((a, b) => a + b) / 3;
    const values = LOGITS.map((name, i) => [name, clamp(Math.round((logs[i] + shift) * 1000) / 1000, low, high)]);
    this.move(Object.fromEntries(values), toPlane(probs));
  }

  move(values, point) {
    this.follows = point;
    this.stage.moved(values);
    this.place();
  }

  place() {
    if (!this.point) return;
    const { handles } = this.stage;
    for (const handle of this.sliders) handle.set(handles[handle.spec.name]);
    this.label.set(handles.label);
    this.names.forEach((name, i) => {
      const [left, top] = this.simplex.place(...CORNERS[i]);
      name.style.transform = `translate(-50%, ${i === 2 ? "-200%" : "80%"}) translate(${left}px, ${top}px)`;
    });
    const at = this.follows ?? this.shown;
    if (at) this.point.set(at);
  }

  sync() {
    this.place();
    this.map.sync();
  }

  wanted() {
    return ["bars", `formula:${this.stage.focus}`, ...this.map.wanted()];
  }

  draw(frame) {
    const { focus } = this.stage;
    const probs = Array.from(frame.arrays.probs.values);
    this.shown = toPlane(probs);
    if (!this.stage.held) this.follows = undefined;
    this.outputs.forEach((output, i) => {
      const exact = Object.values(frame.numbers)[0]?.[`p.${i + 1}`] ?? probs[i];
      output.textContent = exact.toFixed(3);
      output.dataset.value = String(exact);
      output.dataset.seq = frame.seq;
    });
    const bars = rows(frame.arrays.bars);
    bars.forEach((y, i) => this.bars.set(i, { y }));
    const most = frame.arrays.bars.values.reduce((top, v) => (Number.isFinite(v) ? Math.max(top, Math.abs(v)) : top), 0);
    const reach = this.reach ?? 0;
    if (most > reach || !reach) {
      this.reach = Math.max(1, most) * 1.1;
      this.bars.range("yaxis", -this.reach, this.reach);
    }
    this.bars.draw(frame.seq);
    const arrows = frame.arrays[`arrows:${focus}`];
    if (arrows) this.simplex.set(2, frame.handles.arrows ? arrowTrace(rows(arrows)) : { x: [], y: [] });
    this.map.draw(frame);
    this.place();
  }

  fit() {
    this.reach = undefined;
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
    const parts = data.losses.map((loss) => {
      const numbers = frame.numbers[loss.key] ?? {};
      const gradient = [1, 2, 3].map((k) => digits(numbers[`gradient.${k}`])).join(", ");
      return fill(data.text.sentence, { name: loss.name, loss: digits(numbers.loss), gradient });
    });
    const probs = Array.from(frame.arrays.probs.values, (p) => p.toFixed(3)).join(", ");
    return `${fill(data.text.position, { probs, label: frame.handles.label })} ${parts.join(" ")}`;
  }

  table(frame) {
    const { losses, text } = this.stage.data;
    const bars = rows(frame.arrays.bars);
    const head = [text.aClassHead, text.logit, text.probability, ...losses.map((loss) => `${loss.name}: ${text.slope}`)];
    const body = LOGITS.map((name, i) => [fill(text.aClass, { k: i + 1 }), frame.handles[name], frame.arrays.probs.values[i], ...bars.map((bar) => bar[i])]);
    return { head, body };
  }

  dispose() {
    this.map.dispose();
    this.tracks.disconnect();
    for (const picture of this.pictures) picture.dispose();
  }
}

/** Arrows of equal scale; the longest is as long as they may be without hiding each other. */
function arrowTrace(steps) {
  const longest = Math.max(...steps.map(([, , dx, dy]) => Math.hypot(dx, dy)), 1e-9);
  const scale = Math.min(ARROW_REACH, 0.11 / longest);
  return {
    x: steps.flatMap(([x, , dx]) => [x, x + scale * dx, null]),
    y: steps.flatMap(([, y, , dy]) => [y, y + scale * dy, null]),
  };
}
