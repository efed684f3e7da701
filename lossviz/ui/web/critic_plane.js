// The critic over the plane: a map under samples that are held in two directions, and posts that hold the critic up.

import { arrowTrace, evenly, grouped, highest, partOf } from "./critic_parts.js";
import { digits, fill, h } from "./dom.js";
import { plane, slider } from "./handles.js";
import { LossMap } from "./map.js";
import { rows } from "./plots.js";

/** How high a post is drawn, in units of the plane for one of the score: all of them stay inside the picture. */
const RISE = 0.15;
const LEVELS = 14;
/** Of the margin below the map, for the axis and its title. */
const TITLE = 0.46;
/** Widths of an arrow from one to the next. */
const APART = 1.9;
const FACTORS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50];
/** Lengths of the longest arrow, in units of the plane: outside low and high the scale of all of them changes. */
const ARROW = { low: 0.6, longest: 2.4, high: 4.8 };
const CIRCLE = Array.from({ length: 49 }, (_, i) => [Math.cos((i * Math.PI) / 24), Math.sin((i * Math.PI) / 24)]);
const TRACES = { even: 1, pairs: 2, between: 3, slopes: 4, circles: 5, stems: 6, learning: 7, pulls: 8 };
const NOTHING = { x: [], y: [] };

export class PlaneAct {
  constructor({ Plotly, stage, head, frame }) {
    this.space = "plane";
    this.stage = stage;
    const { data } = stage;
    this.names = data.spaces.plane;
    const side = evenly(data.square);
    this.map = new LossMap({
      Plotly,
      stage,
      className: "lv-main lv-critic-main",
      contour: data.figures.map,
      surface: data.figures.surface,
      grid: { x: side, y: side },
      key: (handles) => (this.isDrawn(handles) ? ["drawn", handles[this.names.heights]] : [handles.steps, handles[this.names.real], handles[this.names.fake]]),
      views: ["surface"],
    });
    const { element, overlay, pictures, contour } = this.map;
    Object.assign(this, { element, overlay, pictures, plane: contour });
    const [{ colorbar }] = contour.data;
    contour.set(0, { colorbar: { ...colorbar, ypad: TITLE * contour.layout.margin.b } });
    contour.set(TRACES.even, { x: side, y: side });
    this.legend = h("p", { class: "lv-critic-legend" });
    element.querySelector("figcaption").append(h("span", { class: "lv-critic-head" }, ...head));
    this.map.frame.before(this.legend);
    this.hint = h("p", { class: "lv-critic-hint" });
    element.append(this.hint);
    frame.prepend(element);
    for (const picture of pictures) picture.tokens = stage.tokens;
    this.plane.drawn = () => {
      this.place();
      this.lowerBar();
    };
    this.scale(data.most);
    this.plane.draw("");
    this.handles();
    this.place();
  }

  /** The map is square: its scale of colours lies below it, wherever in the card that is. */
  lowerBar() {
    const { colorbar } = this.plane.data[0];
    const [y] = this.plane.element._fullLayout.yaxis.domain;
    if (Math.abs(y - colorbar.y) < 0.002) return;
    this.plane.set(0, { colorbar: { ...colorbar, y } });
    this.plane.redraw();
  }

  isDrawn({ critic }) {
    return critic === "drawn";
  }

  handles() {
    const { data } = this.stage;
    const { text } = data;
    const specs = Object.fromEntries(data.handleSpecs.map((spec) => [spec.name, spec]));
    const end = () => this.stage.report();
    const sample = (kind, i) => {
      const name = this.names[kind];
      const { low, high, step } = specs[name];
      const axis = (offset) => ({ name: 2 * i + offset, label: [text.x, text.y][offset], low, high, step, default: 0 });
      return plane({
        area: this.overlay,
        name,
        group: `${name}.at.${i}`,
        label: fill(text[`${kind}Sample`], { k: i + 1 }),
        className: `lv-critic-${kind} lv-critic-sample`,
        specs: [axis(0), axis(1)],
        place: (x, y) => this.plane.place(x, y),
        unplace: (left, top) => this.plane.unplace(left, top),
        move: (at) => this.move(name, 2 * i, at),
        end,
      });
    };
    this.posts = data.posts.map(([x, y], i) =>
      slider({
        area: this.overlay,
        spec: { ...specs[this.names.heights], name: `${this.names.heights}.${i}`, label: fill(text.post, { x: digits(x), y: digits(y) }) },
        className: "lv-critic-knots lv-critic-post",
        place: (value) => this.plane.place(x, y + RISE * value),
        unplace: (left, top) => (this.plane.unplace(left, top)[1] - y) / RISE,
        move: (_, value) => this.move(this.names.heights, i, [value]),
        end,
      }),
    );
    this.samples = ["real", "fake"].flatMap((kind) => Array.from({ length: data.samples }, (_, i) => ({ kind, i, handle: sample(kind, i) })));
  }

  get elements() {
    return [...this.samples.map(({ handle }) => handle.element), ...this.posts.map(({ element }) => element)];
  }

  move(name, from, values) {
    const moved = [...this.stage.handles[name]];
    moved.splice(from, values.length, ...values);
    this.stage.moved({ [name]: moved });
    this.place();
    this.plane.drawLines();
  }

  /** Discs, posts and what joins the pairs follow the finger; the map and the arrows wait for torch. */
  place() {
    if (!this.samples) return;
    const { handles } = this.stage;
    const heights = handles[this.names.heights];
    for (const { kind, i, handle } of this.samples) handle.set(handles[this.names[kind]].slice(2 * i, 2 * i + 2));
    this.posts.forEach((handle, i) => handle.set(heights[i]));
    const stems = this.isDrawn(handles) ? this.stage.data.posts.map(([x, y], i) => [x, y, x, y + RISE * heights[i]]) : [];
    this.plane.set(TRACES.stems, arrowTrace(stems));
    const [real, fake] = ["real", "fake"].map((kind) => grouped(handles[this.names[kind]], 2));
    this.plane.set(TRACES.pairs, arrowTrace(this.penalised ? real.map((place, i) => [...place, ...fake[i]]) : []));
  }

  get position() {
    return this.stage.data.losses.findIndex((loss) => loss.key === this.stage.focus);
  }

  /** Whether the loss in focus looks between the samples. */
  get penalised() {
    return !("side" in (this.stage.data.losses[this.position]?.params ?? { side: "" }));
  }

  sync() {
    const { handles, data } = this.stage;
    for (const { element } of this.posts) element.hidden = !this.isDrawn(handles);
    this.map.sync();
    if (this.isDrawn(handles)) this.map.title.textContent = data.text.drawn;
    this.hint.textContent = this.isDrawn(handles) ? data.text.hintDrawn : data.text.hintTrained;
    this.place();
  }

  wanted() {
    return this.map.wanted();
  }

  /** Keep the map that a frame brings: its colours may have to be fitted to it. */
  take(frame) {
    const array = frame.arrays[`surface:${this.stage.focus}`];
    if (array) this.scores = array.values;
  }

  draw(frame) {
    const { arrays, handles } = frame;
    const { data, focus } = this.stage;
    const array = arrays[`surface:${focus}`];
    if (array) this.plane.set(TRACES.even, { z: rows(array) });
    const steps = data.losses.map((_, j) => grouped(partOf(arrays.arrows, j), 4));
    const wanted = handles.arrows;
    this.fitArrows(steps.flat());
    steps.forEach((own, j) => {
      this.plane.set(TRACES.pulls + j, arrowTrace(wanted ? own.map((step, i) => this.pull(step, steps, i, j)) : []));
    });
    const learning = wanted ? grouped(partOf(arrays.learning, this.position), 2) : [];
    this.plane.set(TRACES.learning, arrowTrace(learning.map((ends, i) => ends.flatMap((height) => [data.posts[i][0], data.posts[i][1] + RISE * height]))));
    this.drawBetween(arrays);
    this.legend.textContent = this.penalised ? data.text.penalised : fill(data.text.legend, { factor: this.factor });
    this.map.draw(frame);
    if (!array) this.plane.draw(frame.seq);
  }

  /** The arrows of several losses lie side by side, so that none covers another. */
  pull([x, y, toX, toY], steps, i, j) {
    const { factor } = this;
    const [dx, dy] = [factor * (toX - x), factor * (toY - y)];
    const [longX, longY] = steps.map((own) => [own[i][2] - own[i][0], own[i][3] - own[i][1]]).reduce((a, b) => (Math.hypot(...b) > Math.hypot(...a) ? b : a), [0, 0]);
    const long = Math.hypot(longX, longY) || 1;
    const aside = (j - (steps.length - 1) / 2) * APART * this.plane.data[TRACES.pulls].line.width * this.perPixel;
    const [left, top] = [x - (aside * longY) / long, y + (aside * longX) / long];
    return [left, top, left + dx, top + dy];
  }

  /** One scale for all arrows: a step, or a round multiple of it where steps are too long or too short to see. */
  fitArrows(steps) {
    const longest = highest(steps.map(([x, y, toX, toY]) => Math.hypot(toX - x, toY - y)));
    const seen = (factor) => factor * longest > ARROW.low && factor * longest < ARROW.high;
    if (this.factor && (!longest || seen(this.factor))) return;
    this.factor = FACTORS.findLast((factor) => factor * longest < ARROW.longest) ?? FACTORS[0];
  }

  /** Where a gradient penalty looks: the critic's slope there, and the length that it wants. */
  drawBetween({ between, steep }) {
    if (!this.penalised) return [TRACES.between, TRACES.slopes, TRACES.circles].forEach((trace) => this.plane.set(trace, NOTHING));
    const { params, focus } = this.stage;
    const places = grouped(between.values, 2);
    const slopes = grouped(partOf(steep, this.position), 2);
    const size = params[focus].center;
    this.plane.set(TRACES.between, { x: places.map(([x]) => x), y: places.map(([, y]) => y) });
    this.plane.set(TRACES.slopes, arrowTrace(places.map(([x, y], i) => [x, y, x + slopes[i][0], y + slopes[i][1]])));
    const round = places.flatMap(([x, y]) => [...CIRCLE.map(([cos, sin]) => [x + size * cos, y + size * sin]), [null, null]]);
    this.plane.set(TRACES.circles, { x: round.map(([x]) => x), y: round.map(([, y]) => y) });
  }

  /** What the colours belong to. */
  scaledBy({ critic }, focus) {
    return critic === "drawn" ? critic : focus;
  }

  outside() {
    return !this.isDrawn(this.stage.handles) && highest(this.scores ?? []) > this.most;
  }

  /** Units of the plane by pixel. */
  get perPixel() {
    return this.plane.unplace(1, 0)[0] - this.plane.unplace(0, 0)[0];
  }

  scale(most) {
    this.most = most;
    const size = (2 * most) / LEVELS;
    const { contours } = this.plane.data[0];
    this.plane.set(0, { zmin: -most, zmax: most, contours: { ...contours, start: size - most, end: most - size, size } });
  }

  fitTo({ handles }) {
    this.factor = undefined;
    this.scale(this.isDrawn(handles) ? this.stage.data.most : highest(this.scores ?? []) || 1);
  }

  dispose() {
    this.map.dispose();
    for (const picture of this.pictures) picture.dispose();
  }
}
