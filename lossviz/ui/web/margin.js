// Binary margin: score and label; losses over score, probability or residual, and the gradient by two of them.

import { card } from "./cards.js";
import { digits, fill, h } from "./dom.js";
import { slider } from "./handles.js";
import { markOutside, outsideMarks } from "./outside.js";
import { Picture, rows } from "./plots.js";

const TRACKS = { score: 50, label: 76 };
const BOTTOM = 92;
const STOPS = [0.3, 0.7];
const POINTS = 401;
const FIT_SPARE = 1.12;
const FIT_REACH = { curve: 3.5, derivative: 2.5 };
const NAME_AT = 0.06;

export function create(tools) {
  return new Margin(tools);
}

const sigmoid = (score) => 1 / (1 + Math.exp(-score));
const logit = (probability) => Math.log(probability / (1 - probability));

class Margin {
  constructor({ Plotly, stage, pictures }) {
    this.stage = stage;
    const { data } = stage;
    const { text, figures } = data;
    this.count = data.losses.length;
    this.scores = Float64Array.from({ length: POINTS }, (_, i) => -data.reach + (2 * data.reach * i) / (POINTS - 1));
    stage.root.classList.add("lv-margin");
    this.strip = h("span", { class: "lv-margin-strip" });
    this.main = card("lv-main lv-curve", "", this.strip);
    this.slopes = card("lv-small", "");
    this.twins = card("lv-small lv-margin-twins", "");
    pictures.append(this.main.element, this.slopes.element, this.twins.element);
    this.curve = new Picture(Plotly, this.main.plot, figures.curve);
    this.derivative = new Picture(Plotly, this.slopes.plot, figures.derivative);
    this.sizes = new Picture(Plotly, this.twins.plot, figures.sizes);
    this.pictures = [this.curve, this.derivative, this.sizes];
    for (const picture of this.pictures) {
      picture.tokens = stage.tokens;
      picture.drawn = () => this.place();
    }
    for (let i = 0; i < 2; i += 1) this.sizes.set(i, { x: this.scores });
    this.sizes.range("xaxis", -data.reach, data.reach);
    this.turn(stage.handles);
    for (const picture of this.pictures) picture.draw("");
    this.handles();
    this.readings();
    this.main.frame.addEventListener("dblclick", () => this.fit());
  }

  /** Show another quantity on the axis; the pictures begin anew. */
  turn({ axis, label }) {
    this.axis = axis;
    this.held = label;
    this.fitted = false;
    const { low, high, title, curve, derivative } = this.stage.data.axes[axis];
    for (const picture of [this.curve, this.derivative]) {
      const { xaxis } = picture.layout;
      picture.layout.xaxis = { ...xaxis, title: { ...xaxis.title, text: title }, range: [low, high] };
      picture.stale = true;
    }
    this.main.element.querySelector("figcaption span").textContent = curve;
    this.slopes.element.querySelector("figcaption span").textContent = derivative;
  }

  /** Where a score lies on the axis, and back. */
  onAxis(score) {
    if (this.axis === "logit") return score;
    return sigmoid(score) - (this.axis === "residual" ? this.held : 0);
  }

  fromAxis(value) {
    if (this.axis === "logit") return value;
    const probability = value + (this.axis === "residual" ? this.held : 0);
    const { reach } = this.stage.data;
    return logit(Math.min(sigmoid(reach), Math.max(sigmoid(-reach), probability)));
  }

  handles() {
    const { stage } = this;
    const { data } = stage;
    const { text } = data;
    const end = () => {
      stage.report();
      this.keepInSight();
    };
    const specs = Object.fromEntries(data.handleSpecs.map((spec) => [spec.name, spec]));
    const height = (track) => this.main.frame.clientHeight - BOTTOM + TRACKS[track];
    this.main.overlay.append(
      ...["score", "label"].map((name) => h("span", { class: "lv-track", style: `bottom:${BOTTOM - TRACKS[name]}px` }, h("i", {}, text[name]))),
    );
    this.guide = h("span", { class: "lv-guide lv-guide-pred" });
    this.stops = text.labels.map((words) => h("span", { class: "lv-margin-stop" }, words));
    this.otherName = h("span", { class: "lv-margin-end" }, text.other);
    this.main.overlay.append(this.guide, this.otherName, ...this.stops);
    const common = { area: this.main.overlay, end, move: (name, value) => this.move({ [name]: value }) };
    this.stop = (label) => this.curve.place(data.axes[this.axis].low + STOPS[label] * (data.axes[this.axis].high - data.axes[this.axis].low), 0)[0];
    this.sliders = [
      slider({
        ...common,
        spec: specs.score,
        className: "lv-pred",
        place: (value) => [this.curve.place(this.onAxis(value), 0)[0], height("score")],
        unplace: (left) => this.fromAxis(this.curve.unplace(left, 0)[0]),
      }),
      slider({
        ...common,
        spec: specs.label,
        className: "lv-target",
        words: (value) => text.labels[value],
        place: (value) => [this.stop(value), height("label")],
        unplace: (left) => (left < (this.stop(0) + this.stop(1)) / 2 ? 0 : 1),
      }),
    ];
    this.marks = [this.main, this.slopes].map((each) => outsideMarks(each.overlay, data.losses));
  }

  /** What the score is in other words, and how its two gradients hang together for the loss in focus. */
  readings() {
    const { stage } = this;
    const { text, losses } = stage.data;
    const reading = (name, key, label, mark = "") =>
      h("label", { class: `lv-margin-reading ${mark}`, "data-by": name }, h("span", {}, label), h("output", { name, "data-loss": key, "data-value": "" }, "–"));
    const first = losses[0].key;
    this.strip.replaceChildren(...["margin", "probability", "residual"].map((name) => reading(name, first, text[name])));
    this.chain = h("div", { class: "lv-margin-chain" });
    this.ends = ["byLogit", "byProbability"].map((name) => h("span", { class: "lv-margin-end" }, text[name]));
    this.twins.overlay.append(this.chain, ...this.ends);
    this.chained = (key) => {
      this.chain.replaceChildren(
        reading("gradient.logit", key, text.byLogit, "lv-by"),
        h("b", {}, "="),
        reading("gradient.probability", key, text.byProbability, "lv-by"),
        h("b", {}, "×"),
        reading("rise", key, text.rise),
      );
    };
  }

  move(values) {
    this.stage.moved(values);
    this.place();
  }

  /** Put every handle where the state says; also after a picture changed its size. */
  place() {
    if (!this.sliders) return;
    const { handles } = this.stage;
    for (const handle of this.sliders) handle.set(handles[handle.spec.name]);
    this.guide.style.transform = `translateX(${this.curve.place(this.onAxis(handles.score), 0)[0]}px)`;
    const top = this.main.frame.clientHeight - BOTTOM + TRACKS.label;
    this.stops.forEach((stop, i) => {
      const side = i ? 16 : -16;
      stop.style.transform = `translate(${this.stop(i) + side}px, ${top}px) translate(${i ? 0 : -100}%, -50%)`;
      stop.classList.toggle("lv-held-label", handles.label === i);
    });
  }

  sync() {
    const { stage } = this;
    const { focus, data, handles } = stage;
    const position = Math.max(0, data.losses.findIndex((loss) => loss.key === focus));
    if (this.focus !== focus && data.losses[position]) {
      this.focus = focus;
      const { key, name } = data.losses[position];
      this.chained(key);
      this.twins.element.querySelector("figcaption span").textContent = fill(data.text.sizes, { name });
      const colour = `@loss${position}`;
      const style = (picture, index, dash) => picture.set(index, { line: { ...picture.data[index].line, color: colour, dash } });
      style(this.sizes, 0, "solid");
      style(this.sizes, 1, "6px 4px");
      style(this.curve, 2 * this.count, "solid");
      this.sizes.set(2, { marker: { ...this.sizes.data[2].marker, color: [colour, colour] } });
    }
    const by = handles.axis === "logit" ? "gradient.logit" : "gradient.probability";
    for (const label of stage.root.querySelectorAll(".lv-number, .lv-by")) {
      const output = label.querySelector("output");
      const shown = output.name === by;
      label.classList.toggle("lv-by-axis", shown);
      label.title = shown ? data.text.shown : "";
    }
    this.place();
  }

  wanted() {
    const { focus } = this.stage;
    return ["curve", "derivative", `sizes:${focus}`, `other:${focus}`, `formula:${focus}`];
  }

  draw(frame) {
    const { focus, data } = this.stage;
    const { x, curve, tangent, arrows, derivative } = frame.arrays;
    const { axis, label, score } = frame.handles;
    if (axis !== this.axis || label !== this.held) this.turn(frame.handles);
    const keys = data.losses.map((loss) => loss.key);
    const ends = rows({ ...tangent, shape: [this.count * 2, 2] });
    const by = axis === "logit" ? "gradient.logit" : "gradient.probability";
    const values = keys.map((key) => frame.numbers[key].loss);
    const slopes = keys.map((key) => frame.numbers[key][by]);
    const at = keys.map(() => this.onAxis(score));
    rows(curve).forEach((y, i) => {
      this.curve.set(i, { x: x.values, y });
      this.curve.set(this.count + i, { x: ends[2 * i], y: ends[2 * i + 1] });
    });
    const other = frame.arrays[`other:${focus}`];
    if (other) {
      const [otherX, otherY] = rows(other);
      this.curve.set(2 * this.count, { x: otherX, y: otherY });
      this.thin = [otherX, otherY];
    }
    this.curve.set(2 * this.count + 1, { x: at, y: values });
    this.curve.set(2 * this.count + 2, frame.handles.arrows ? arrowTrace(rows(arrows), values) : { x: [], y: [] });
    rows(derivative).forEach((y, i) => this.derivative.set(i, { x: x.values, y }));
    this.derivative.set(this.count, { x: at, y: slopes });
    if (!this.fitted) this.fitTo(frame);
    this.curve.draw(frame.seq);
    this.derivative.draw(frame.seq);
    this.nameOther();
    this.drawSizes(frame);
    markOutside(this.curve, this.marks[0], at, values);
    markOutside(this.derivative, this.marks[1], at, slopes);
    this.place();
  }

  /** Written beside the thin line, where it is three quarters up. */
  nameOther() {
    if (!this.thin) return;
    const [x, y] = this.thin;
    const height = 0.75 * this.curve.layout.yaxis.range[1];
    const i = y.reduce((best, v, k) => (Math.abs(v - height) < Math.abs(y[best] - height) ? k : best), 0);
    const [left, top] = this.curve.place(x[i], y[i]);
    const beyond = left > this.main.frame.clientWidth / 2;
    this.otherName.style.transform = `translate(${left + (beyond ? -10 : 10)}px, ${top}px) translate(${beyond ? -100 : 0}%, -50%)`;
  }

  drawSizes(frame) {
    const { focus } = this.stage;
    const array = frame.arrays[`sizes:${focus}`];
    const numbers = frame.numbers[focus];
    if (array && numbers) {
      const [byLogit, byProbability] = rows(array);
      const here = ["gradient.logit", "gradient.probability"].map((name) => Math.abs(numbers[name]) || null);
      const { score, label } = frame.handles;
      this.sizes.set(0, { y: byLogit });
      this.sizes.set(1, { y: byProbability });
      this.sizes.set(2, { x: [score, score], y: here });
      this.sizes.set(3, here[0] && frame.handles.arrows ? { x: [score, score, null], y: [here[1], here[0], null] } : { x: [], y: [] });
      this.sizes.draw(frame.seq);
      // Each line is named on the side where the score is wrong: there both are steep.
      const i = Math.round((POINTS - 1) * (label ? NAME_AT : 1 - NAME_AT));
      this.ends.forEach((end, k) => {
        const y = array.values[k * POINTS + i];
        end.hidden = !Number.isFinite(y);
        if (end.hidden) return;
        const [left, top] = this.sizes.place(this.scores[i], y);
        end.style.transform = `translate(${left}px, ${top}px) translate(${label ? 0 : -100}%, ${k ? -125 : 25}%)`;
      });
    }
    this.twins.plot.dataset.seq = frame.seq;
  }

  fit() {
    this.fitted = false;
    this.stage.ask();
  }

  /** Ranges from where the scores are ordinary, and from the middle loss, so that the steepest flattens no other. */
  fitTo(frame) {
    const { focus } = this.stage;
    const highest = (array, reach) => {
      const tops = rows(array).map((row) => row.reduce((most, v, i) => (Math.abs(this.scores[i]) <= reach ? Math.max(most, Math.abs(v)) : most), 0));
      tops.sort((a, b) => a - b);
      return tops[Math.floor(tops.length / 2)] || 1;
    };
    const top = Math.max(highest(frame.arrays.curve, FIT_REACH.curve), frame.numbers[focus]?.loss ?? 0) * FIT_SPARE;
    this.curve.range("yaxis", -0.04 * top, top);
    const steep = highest(frame.arrays.derivative, FIT_REACH.derivative) * FIT_SPARE;
    const { values } = frame.arrays.derivative;
    this.derivative.range("yaxis", values.some((v) => v < 0) ? -steep : -0.1 * steep, values.some((v) => v > 0) ? steep : 0.1 * steep);
    this.fitted = true;
  }

  /** Axes keep their range under the finger; the loss in focus brings a new range once let go. */
  keepInSight() {
    const { frame, focus } = this.stage;
    const top = this.curve.layout.yaxis.range?.[1] ?? Infinity;
    if (frame?.numbers[focus]?.loss > top) this.fit();
  }

  redress() {
    for (const picture of this.pictures) {
      picture.tokens = this.stage.tokens;
      picture.redraw();
    }
  }

  summary(frame) {
    const { data } = this.stage;
    const { score, label } = frame.handles;
    const parts = data.losses.map((loss) => {
      const numbers = frame.numbers[loss.key];
      const shown = { logit: numbers["gradient.logit"], byProbability: numbers["gradient.probability"], loss: numbers.loss };
      return fill(data.text.sentence, { name: loss.name, ...Object.fromEntries(Object.entries(shown).map(([name, value]) => [name, digits(value)])) });
    });
    const { probability } = Object.values(frame.numbers)[0];
    return `${fill(data.text.position, { score: digits(score), label: data.text.labels[label], probability: digits(probability) })} ${parts.join(" ")}`;
  }

  table(frame) {
    const { losses, text, axes } = this.stage.data;
    const curves = rows(frame.arrays.curve);
    const slopes = rows(frame.arrays.derivative);
    const head = [axes[frame.handles.axis].title, ...losses.flatMap((loss) => [loss.name, `${loss.name}: ${text.slope}`])];
    const body = [];
    for (let i = 0; i < POINTS; i += 20) {
      body.push([frame.arrays.x.values[i], ...losses.flatMap((_, j) => [curves[j][i], slopes[j][i]])]);
    }
    return { head, body };
  }

  dispose() {
    this.stage.root.classList.remove("lv-margin");
    for (const picture of this.pictures) picture.dispose();
  }
}

/** One trace for all arrows: from each point to where a gradient step would move it. */
function arrowTrace(steps, values) {
  return { x: steps.flatMap(([from, to]) => [from, to, null]), y: values.flatMap((y) => [y, y, null]) };
}
