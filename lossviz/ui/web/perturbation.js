// A perturbation: an input with a box around it, the attacks that climb inside, and what each loss adds up of them.

import { card, swatch } from "./cards.js";
import { Digit } from "./digit.js";
import { clamp, digits, fill, h } from "./dom.js";
import { plane, slider } from "./handles.js";
import { LossMap } from "./map.js";
import { Picture, rows } from "./plots.js";

const TRACK = { bottom: 20, left: 110, right: 130 };
const CORNERS = [[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]];
const CIRCLE = Array.from({ length: 73 }, (_, i) => [Math.cos((i * Math.PI) / 36), Math.sin((i * Math.PI) / 36)]);
const TRACES = { boundary: 1, points: 2, box: 4, attacks: 5 };
/** The grip of the box lies this many pixels outside its edge, so that it is not under the input's disc. */
const OUTSIDE = 18;
const SPARE = 1.08;
const LEAST_HEIGHT = 1;

export function create(tools) {
  return new Perturbation(tools);
}

class Perturbation {
  constructor({ Plotly, stage, pictures }) {
    this.stage = stage;
    const { data } = stage;
    const { text, figures, losses } = data;
    this.specs = Object.fromEntries(data.handleSpecs.map((spec) => [spec.name, spec]));
    const side = Float64Array.from({ length: data.side }, (_, i) => i / (data.side - 1));
    this.map = new LossMap({
      Plotly,
      stage,
      className: "lv-main lv-perturbation-map",
      contour: figures.contour,
      surface: figures.surface,
      grid: { x: side, y: side },
      key: ({ label, map, epsilon, step_size, steps }) => [label, map, ...(map === "clean" ? [] : [epsilon, step_size, steps])],
      views: ["surface", "boundary"],
    });
    this.plane = this.map.contour;
    this.plane.set(TRACES.boundary, { x: side, y: side });
    data.points.forEach(([x, y], k) => this.plane.set(TRACES.points + k, { x, y }));
    const climb = card("lv-small lv-perturbation-climb", text.climb);
    this.scale = h("span", { class: "lv-perturbation-scale" });
    const terms = card("lv-small lv-perturbation-terms", text.terms, this.scale);
    terms.plot.remove();
    terms.overlay.remove();
    this.rows = losses.map((loss, i) => this.row(loss, i));
    terms.frame.append(h("div", { class: "lv-perturbation-rows" }, ...this.rows.map(({ element }) => element)));
    pictures.classList.add("lv-perturbation-scene");
    this.digit = new Digit({ Plotly, stage });
    pictures.append(this.map.element, climb.element, terms.element, ...this.digit.elements);
    this.climb = new Picture(Plotly, climb.plot, figures.climb);
    this.pictures = [this.climb, this.digit.picture, ...this.map.pictures];
    for (const picture of this.pictures) picture.tokens = stage.tokens;
    this.plane.drawn = () => this.place();
    this.plane.draw("");
    this.climb.draw("");
    this.digit.picture.draw("");
    this.handles();
    this.map.frame.addEventListener("dblclick", () => this.fit());
  }

  /** One loss: what the network says before and after, and a bar of its terms with their numbers. */
  row(loss, position) {
    const { data } = this.stage;
    const { text, dashes } = data;
    const parts = text.parts[loss.key];
    const said = h("output", { class: "lv-perturbation-said", "data-value": "" });
    const bars = (parts ?? [text.whole]).map((_, i) => h("span", { class: `lv-perturbation-part lv-perturbation-part${i + 1}`, style: `--lv-own:var(--lv-loss${position})` }));
    const number = (name) => h("output", { name, "data-loss": loss.key, "data-value": "" }, "–");
    const words = parts
      ? parts.flatMap((part, i) => [i ? " + " : "", `${part} `, number(`term.${i + 1}`)])
      : [`${text.whole} `, number("loss")];
    const element = h(
      "div",
      { class: "lv-perturbation-row" },
      h("div", { class: "lv-perturbation-head" }, swatch(position, dashes[position]), h("span", {}, loss.name), said),
      h("div", { class: "lv-perturbation-bar" }, ...bars),
      h("div", { class: "lv-perturbation-words" }, ...words),
    );
    return { element, said, bars };
  }

  handles() {
    const { stage, specs } = this;
    const { text } = stage.data;
    const end = () => stage.report();
    const area = this.map.overlay;
    this.point = plane({
      area,
      name: "x",
      label: text.point,
      className: "lv-point",
      specs: [{ ...specs.x1, name: "x1" }, { ...specs.x2, name: "x2" }],
      place: (x, y) => this.plane.place(x, y),
      unplace: (left, top) => this.plane.unplace(left, top),
      move: ([x1, x2]) => this.move({ x1, x2 }),
      end,
    });
    this.reach = slider({
      area,
      spec: specs.epsilon,
      className: "lv-perturbation-reach",
      place: (value) => {
        const { x1, x2 } = stage.handles;
        const [left, top] = this.plane.place(clamp(x1 + this.towards * value, 0, 1), x2);
        return [left + this.towards * OUTSIDE, top];
      },
      unplace: (left) => Math.max(0, this.towards * (this.plane.unplace(left - this.towards * OUTSIDE, 0)[0] - stage.handles.x1)),
      move: (_, epsilon) => this.widen(epsilon),
      end,
    });
    const width = () => this.map.frame.clientWidth - TRACK.left - TRACK.right;
    const { low, high } = specs.label;
    const at = (value) => [TRACK.left + ((value - low) / (high - low)) * width(), this.map.frame.clientHeight - TRACK.bottom];
    area.append(h("span", { class: "lv-track lv-perturbation-track", style: `bottom:${TRACK.bottom}px;left:${TRACK.left}px;right:${TRACK.right}px` }, h("i", {}, text.label)));
    this.stops = [low, high].map((k) => {
      const stop = h("span", { class: "lv-perturbation-stop" }, h("b", { class: `lv-perturbation-class${k}` }), fill(text.aClass, { k }));
      area.append(stop);
      return { stop, at: () => at(k) };
    });
    this.label = slider({
      area,
      spec: specs.label,
      className: "lv-target",
      place: at,
      unplace: (left) => low + ((left - TRACK.left) / width()) * (high - low),
      move: (name, value) => this.move({ [name]: value }),
      end,
    });
  }

  /** The disc of the box's edge is on the side that has more room. */
  get towards() {
    return this.stage.handles.x1 > 0.5 ? -1 : 1;
  }

  /** How far the attack of the loss in focus may go. */
  get epsilon() {
    const { params, focus, handles } = this.stage;
    return params[focus]?.epsilon ?? handles.epsilon;
  }

  /** One finger holds how far every attack may go: the scene's and those of the losses that have one of their own. */
  widen(epsilon) {
    const { data, params } = this.stage;
    for (const loss of data.losses) if (loss.params.epsilon) params[loss.key].epsilon = epsilon;
    this.stage.moved({ epsilon });
    this.stage.sync();
  }

  move(values) {
    this.stage.moved(values);
    this.place();
  }

  /** Handles and the box follow the finger; paths wait for torch. */
  place() {
    if (!this.label) return;
    const { handles, focus, data } = this.stage;
    const { x1, x2 } = handles;
    const epsilon = this.epsilon;
    this.point.set([x1, x2]);
    this.reach.set(clamp(epsilon, this.specs.epsilon.low, this.specs.epsilon.high));
    this.label.set(handles.label);
    for (const { stop, at } of this.stops) stop.style.transform = `translate(${at()[0]}px, ${at()[1]}px)`;
    const outline = data.round.includes(focus) ? CIRCLE : CORNERS;
    this.plane.set(TRACES.box, { x: outline.map(([x]) => x1 + epsilon * x), y: outline.map(([, y]) => x2 + epsilon * y) });
    if (this.plane.lines) this.plane.drawLines();
  }

  sync() {
    this.place();
    this.digit.sync();
    this.map.sync();
    if (this.stage.handles.map === "clean") this.map.title.textContent = this.stage.data.text.cleanMap;
  }

  wanted() {
    const { focus } = this.stage;
    return ["attack", `arrow:${focus}`, `formula:${focus}`, ...this.digit.wanted(), ...this.map.wanted()];
  }

  draw(frame) {
    const { focus, data } = this.stage;
    const { losses } = data;
    const ends = { x: [], y: [] };
    let longest = 1;
    let highest = Math.max(LEAST_HEIGHT, data.chance);
    const steps = TRACES.attacks + losses.length;
    losses.forEach(({ key }, i) => {
      const path = frame.arrays[`attack:${key}`] ? rows(frame.arrays[`attack:${key}`]) : [];
      const climb = frame.arrays[`climb:${key}`]?.values ?? [];
      const places = { x: path.map(([x]) => x), y: path.map(([, y]) => y) };
      this.plane.set(TRACES.attacks + i, places);
      if (key === focus) this.plane.set(steps, places);
      ends.x.push(places.x.at(-1) ?? null);
      ends.y.push(places.y.at(-1) ?? null);
      this.climb.set(1 + i, { x: Array.from(climb, (_, k) => k), y: climb });
      longest = Math.max(longest, climb.length - 1);
      highest = climb.reduce((most, v) => Math.max(most, v), highest);
    });
    this.plane.set(steps + 1, ends);
    this.drawArrow(frame);
    this.drawClimb(frame, longest, highest);
    this.drawRows(frame);
    this.digit.draw(frame);
    const boundary = frame.arrays[`boundary:${focus}`];
    if (boundary) this.plane.set(TRACES.boundary, { z: rows(boundary) });
    this.map.draw(frame);
    this.plane.draw(frame.seq);
  }

  drawArrow(frame) {
    const arrow = frame.handles.arrows && frame.arrays[`arrow:${this.stage.focus}`];
    const [from, to] = arrow ? rows(arrow) : [];
    this.plane.set(this.plane.data.length - 1, arrow ? { x: [from[0], to[0], null], y: [from[1], to[1], null] } : { x: [], y: [] });
  }

  /** The axes grow with the attacks and shrink only when they are fitted anew. */
  drawClimb(frame, longest, highest) {
    this.most = Math.max(this.most ?? 0, highest * SPARE);
    this.climb.range("xaxis", 0, longest);
    this.climb.range("yaxis", 0, this.most);
    this.climb.set(0, { x: [0, longest], y: [this.stage.data.chance, this.stage.data.chance] });
    this.climb.draw(frame.seq);
  }

  drawRows(frame) {
    const { losses, text } = this.stage.data;
    const all = losses.map(({ key }) => frame.numbers[key]).map((n) => (n ? [n["term.1"] ?? n.loss, n["term.2"] ?? 0] : [0, 0]));
    // Bars keep their scale while they shrink: else the longest would always be full.
    const most = (this.highest = Math.max(this.highest ?? 1e-9, ...all.map(([a, b]) => a + b)));
    this.scale.textContent = fill(text.termsScale, { most: digits(most) });
    this.rows.forEach(({ said, bars }, i) => {
      const numbers = frame.numbers[losses[i].key];
      const [before, after] = ["class.before", "class.after"].map((name) => numbers?.[name]);
      said.textContent = numbers ? fill(text.verdict, { before, after }) : "";
      said.dataset.value = JSON.stringify([before, after]);
      said.dataset.seq = frame.seq;
      said.classList.toggle("lv-perturbation-fooled", before !== after);
      bars.forEach((bar, k) => (bar.style.width = `${(100 * Math.max(0, all[i][k])) / most}%`));
    });
  }

  fit() {
    this.most = this.highest = undefined;
    this.stage.ask();
  }

  redress() {
    for (const picture of this.pictures) {
      picture.tokens = this.stage.tokens;
      picture.redraw();
    }
  }

  summary(frame) {
    const { losses, text } = this.stage.data;
    const { x1, x2, label } = frame.handles;
    const parts = losses.map((loss) => {
      const numbers = frame.numbers[loss.key] ?? {};
      const classes = { before: numbers["class.before"], after: numbers["class.after"] };
      return fill(text.sentence, { name: loss.name, loss: digits(numbers.loss), epsilon: digits(numbers.epsilon), ...classes });
    });
    return `${fill(text.position, { x1: digits(x1), x2: digits(x2), label })} ${parts.join(" ")} ${this.digit.summary(frame)}`;
  }

  table(frame) {
    const { losses, text } = this.stage.data;
    const climbs = losses.map(({ key }) => frame.arrays[`climb:${key}`]?.values ?? []);
    const paths = losses.map(({ key }) => (frame.arrays[`attack:${key}`] ? rows(frame.arrays[`attack:${key}`]) : []));
    const head = [text.attackStep, ...losses.flatMap((loss) => [`${loss.name}: x₁`, "x₂", "CE"])];
    const length = Math.max(...climbs.map((climb) => climb.length));
    const body = Array.from({ length }, (_, k) => [k, ...losses.flatMap((_, i) => [paths[i][k]?.[0], paths[i][k]?.[1], climbs[i][k]].map((v) => v ?? ""))]);
    return { head, body: [...body, ...this.digit.table(frame)] };
  }

  dispose() {
    this.map.dispose();
    for (const picture of this.pictures) picture.dispose();
  }
}
