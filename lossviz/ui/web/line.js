// A regression line: points that are dragged, the line held, each loss's best line, and the way over slope and intercept.

import { card, swatch } from "./cards.js";
import { clamp, digits, fill, h } from "./dom.js";
import { plane, slider } from "./handles.js";
import { LossMap } from "./map.js";
import { Picture, rows } from "./plots.js";

const SPARE = 1.12;
const LEAST_PULL = 0.05;
const LEVER = 0.2;
/** The slope's disc keeps this share of the picture's height away from its edges. */
const RIM = 0.04;

export function create(tools) {
  return new Line(tools);
}

class Line {
  constructor({ Plotly, stage, pictures }) {
    this.stage = stage;
    const { data } = stage;
    const { text, figures } = data;
    this.specs = Object.fromEntries(data.handleSpecs.map((spec) => [spec.name, spec]));
    const ends = ({ low, high }) => Float64Array.from({ length: data.side }, (_, i) => low + ((high - low) * i) / (data.side - 1));
    this.main = card("lv-main lv-line-main", text.plane);
    const pulls = card("lv-small lv-line-pulls", text.pulls);
    this.map = new LossMap({
      Plotly,
      stage,
      className: "lv-line-map",
      contour: figures.contour,
      surface: figures.surface,
      grid: { x: ends(this.specs.slope), y: ends(this.specs.intercept) },
      key: ({ xs, ys }) => [xs, ys],
      views: ["surface"],
    });
    pictures.classList.add("lv-line-scene");
    pictures.append(this.main.element, pulls.element, this.map.element);
    this.plane = new Picture(Plotly, this.main.plot, figures.plane);
    this.pulls = new Picture(Plotly, pulls.plot, figures.pulls);
    this.pictures = [this.plane, this.pulls, ...this.map.pictures];
    for (const picture of this.pictures) picture.tokens = stage.tokens;
    this.plane.drawn = this.map.contour.drawn = () => this.place();
    for (const picture of [this.plane, this.pulls, this.map.contour]) picture.draw("");
    this.handles();
    this.main.frame.addEventListener("dblclick", () => this.fit());
  }

  handles() {
    const { stage, specs } = this;
    const { text, losses, dashes } = stage.data;
    const end = () => stage.report();
    const onPlane = { place: (x, y) => this.plane.place(x, y), unplace: (left, top) => this.plane.unplace(left, top) };
    this.points = specs.xs.default.map((_, i) =>
      plane({
        ...onPlane,
        area: this.main.overlay,
        name: `p${i}`,
        label: fill(text.aPoint, { k: i + 1 }),
        className: "lv-line-point",
        specs: [{ ...specs.xs, name: "x" }, { ...specs.ys, name: "y" }],
        move: ([x, y]) => {
          const { xs, ys } = stage.handles;
          this.move({ xs: xs.with(i, x), ys: ys.with(i, y) });
        },
        end,
      }),
    );
    this.points.forEach(({ element }, i) => element.append(h("span", { class: "lv-line-number", "aria-hidden": "true" }, String(i + 1))));
    const move = (name, value) => this.move({ [name]: value });
    this.sliders = [
      slider({
        area: this.main.overlay,
        spec: specs.intercept,
        className: "lv-line-intercept",
        place: (value) => this.plane.place(0, value),
        unplace: (left, top) => this.plane.unplace(left, top)[1],
        move,
        end,
      }),
      slider({
        area: this.main.overlay,
        spec: specs.slope,
        className: "lv-line-slope",
        place: (value) => this.lever(value),
        // The line turns about its intercept towards the finger.
        unplace: (left, top) => {
          const [x, y] = this.plane.unplace(left, top);
          return (y - stage.handles.intercept) / Math.max(LEVER, x);
        },
        move,
        end,
      }),
    ];
    this.line = plane({
      area: this.map.overlay,
      name: "line",
      label: text.line,
      className: "lv-point",
      specs: [specs.slope, specs.intercept],
      place: (slope, intercept) => this.map.contour.place(slope, intercept),
      unplace: (left, top) => this.map.contour.unplace(left, top),
      move: ([slope, intercept]) => this.move({ slope, intercept }),
      end,
    });
    this.marks = losses.map((loss, i) => h("span", { class: "lv-line-mark", title: fill(text.best, { name: loss.name }), style: `--lv-own:var(--lv-loss${i})`, "data-side": i % 2 ? "left" : "right", hidden: true }, swatch(i, dashes[i])));
    this.map.overlay.prepend(...this.marks);
  }

  /** Where the slope's disc lies: at the right, on the line, but inside the picture. */
  lever(slope) {
    const { intercept } = this.stage.handles;
    const { high } = this.specs.xs;
    const [low, top] = this.plane.layout.yaxis.range;
    const rim = RIM * (top - low);
    const edge = slope > 0 ? top - rim : low + rim;
    const far = slope === 0 ? high : Math.min(high, (edge - intercept) / slope);
    const x = Math.max(LEVER, far);
    return this.plane.place(x, clamp(intercept + slope * x, low + rim, top - rim));
  }

  move(values) {
    this.stage.moved(values);
    this.place();
  }

  /** Handles, the line held and its residuals follow the finger; what needs the loss waits for torch. */
  place() {
    if (!this.line) return;
    const { slope, intercept, xs, ys } = this.stage.handles;
    const at = (x) => slope * x + intercept;
    this.points.forEach((point, i) => point.set([xs[i], ys[i]]));
    for (const handle of this.sliders) handle.set(this.stage.handles[handle.spec.name]);
    this.line.set([slope, intercept]);
    this.plane.set(0, { x: xs.flatMap((x) => [x, x, null]), y: xs.flatMap((x, i) => [ys[i], at(x), null]) });
    const ends = this.plane.layout.xaxis.range;
    this.plane.set(this.plane.data.length - 1, { x: ends, y: ends.map(at) });
    if (this.plane.lines) this.plane.drawLines();
    this.placeMarks();
  }

  placeMarks() {
    const fits = this.fits ?? [];
    const { xaxis, yaxis } = this.map.contour.layout;
    const inside = (value, [low, high]) => value >= low && value <= high;
    this.marks.forEach((mark, i) => {
      const [slope, intercept] = fits[i] ?? [];
      mark.hidden = !(inside(slope, xaxis.range) && inside(intercept, yaxis.range));
      if (mark.hidden) return;
      const [left, top] = this.map.contour.place(slope, intercept);
      mark.style.transform = `translate(${left}px, ${top}px)`;
    });
  }

  sync() {
    this.place();
    this.map.sync();
  }

  wanted() {
    const { focus } = this.stage;
    return ["fits", "pulls", `path:${focus}`, `formula:${focus}`, ...this.map.wanted()];
  }

  draw(frame) {
    const { focus } = this.stage;
    const { fits, pulls } = frame.arrays;
    const ends = this.plane.layout.xaxis.range;
    this.fits = rows(fits);
    this.fits.forEach(([slope, intercept], i) => this.plane.set(1 + i, { x: ends, y: ends.map((x) => slope * x + intercept) }));
    this.plane.draw(frame.seq);
    rows(pulls).forEach((row, i) => this.pulls.set(i, { x: frame.handles.xs, y: Array.from(row, (v) => (Number.isNaN(v) ? null : v)) }));
    this.reachFor(pulls.values);
    this.pulls.draw(frame.seq);
    const path = frame.arrays[`path:${focus}`];
    if (path) {
      const steps = rows(path);
      this.map.contour.set(1, { x: steps.map(([slope]) => slope), y: steps.map(([, intercept]) => intercept) });
      const [from, to] = rows(frame.arrays[`arrow:${focus}`]);
      const drawn = frame.handles.arrows && Number.isFinite(to[0]);
      this.map.contour.set(2, drawn ? { x: [from[0], to[0], null], y: [from[1], to[1], null] } : { x: [], y: [] });
    }
    this.map.draw(frame);
    this.map.contour.draw(frame.seq);
    this.placeMarks();
  }

  /** The pulls' axis grows with them and shrinks only when it is fitted anew. */
  reachFor(values) {
    const most = values.reduce((top, v) => (Number.isFinite(v) ? Math.max(top, Math.abs(v)) : top), 0);
    if (this.reach && most <= this.reach) return;
    this.reach = Math.max(LEAST_PULL, most) * SPARE;
    this.pulls.range("yaxis", -this.reach, this.reach);
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
    const { losses, text } = this.stage.data;
    const parts = losses.map((loss) => {
      const numbers = frame.numbers[loss.key] ?? {};
      const best = { slope: digits(numbers["fit.slope"]), intercept: digits(numbers["fit.intercept"]), best: digits(numbers["fit.loss"]) };
      return fill(text.sentence, { name: loss.name, loss: digits(numbers.loss), ...best });
    });
    const { slope, intercept } = frame.handles;
    return `${fill(text.position, { slope: digits(slope), intercept: digits(intercept) })} ${parts.join(" ")}`;
  }

  table(frame) {
    const { losses, text } = this.stage.data;
    const { xs, ys } = frame.handles;
    const pulls = rows(frame.arrays.pulls);
    const head = [text.point, "x", "y", ...losses.map((loss) => `${loss.name}: ${text.pull}`)];
    return { head, body: xs.map((x, i) => [i + 1, x, ys[i], ...pulls.map((pull) => pull[i])]) };
  }

  dispose() {
    this.map.dispose();
    for (const picture of this.pictures) picture.dispose();
  }
}
