// A regression line: points that are dragged, the line held, each loss's best line, and the way over slope and intercept.

import { card, swatch } from "./cards.js";
import { clamp, digits, fill, h } from "./dom.js";
import { plane, slider } from "./handles.js";
import { LossMap } from "./map.js";
import { Picture, rows } from "./plots.js";

const SPARE = 1.12;
const LEAST_PULL = 0.05;
const LEVER = 0.2;
/** An outlier keeps this far from other points where there is room. */
const LEAST_GAP = 0.3;
const DOUBLE_MS = 400;
const HOLD_MS = 450;
const NEAR = 10;
/** The slope's disc keeps this share of the picture's height away from its edges. */
const RIM = 0.04;

export function create(tools) {
  return new Line(tools);
}

const tidy = ({ low, high }, value) => clamp(Math.round(value * 1000) / 1000, low, high);
const inside = (value, [low, high]) => value >= low && value <= high;

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
    this.tools();
    this.handles();
    this.presses();
    pulls.frame.addEventListener("dblclick", () => this.fit());
  }

  /** Buttons under the title, for keys and for fingers that know no double click. */
  tools() {
    const { text } = this.stage.data;
    const button = (name, run) => h("button", { class: "lv-button", type: "button", "data-act": name, title: text[`${name}Help`], onclick: run }, text[name]);
    this.adders = [button("add", () => this.put(this.free())), button("outlier", () => this.put(this.outlier()))];
    this.remover = button("remove", () => this.remove(this.marked));
    this.count = h("span", { class: "lv-line-count" });
    this.note = h("p", { class: "lv-line-note", role: "status" });
    this.main.overlay.append(this.note);
    this.main.frame.before(h("div", { class: "lv-line-tools" }, ...this.adders, this.remover, this.count));
  }

  /** A double press, or a finger held still, on an empty place makes a point that is held at once. */
  presses() {
    const { frame } = this.main;
    let last, held, timer;
    const add = (down) => {
      clearTimeout(timer);
      last = undefined;
      held = this.addAt(down);
    };
    const near = (one, other) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) < NEAR;
    frame.addEventListener("pointerdown", (down) => {
      held = false;
      clearTimeout(timer);
      if (down.button !== 0 || down.target.closest(".lv-handle")) return;
      if (last && down.timeStamp - last.timeStamp < DOUBLE_MS && near(down, last)) return add(down);
      last = down;
      if (down.pointerType === "touch") timer = setTimeout(() => add(down), HOLD_MS);
    });
    frame.addEventListener("pointermove", (event) => last && !near(event, last) && clearTimeout(timer));
    for (const name of ["pointerup", "pointercancel"]) frame.addEventListener(name, () => clearTimeout(timer));
    // A finger that holds a new point moves it, not the page.
    frame.addEventListener("touchmove", (event) => held && event.preventDefault(), { passive: false });
    frame.addEventListener("contextmenu", (event) => held && event.preventDefault());
  }

  handles() {
    const { stage, specs } = this;
    const { text, losses, dashes } = stage.data;
    const end = () => stage.report();
    const onPlane = { place: (x, y) => this.plane.place(x, y), unplace: (left, top) => this.plane.unplace(left, top) };
    this.points = [];
    this.newPoint = (i) => {
      const handle = plane({
        ...onPlane,
        area: this.main.overlay,
        name: `p${i}`,
        label: fill(text.aPoint, { k: i + 1 }),
        className: "lv-line-point",
        specs: [{ ...specs.xs, name: "x", default: 0 }, { ...specs.ys, name: "y", default: 0 }],
        move: ([x, y]) => {
          const { xs, ys } = stage.handles;
          this.move({ xs: xs.with(i, x), ys: ys.with(i, y) });
        },
        end,
      });
      const { element } = handle;
      element.append(h("span", { class: "lv-line-number", "aria-hidden": "true" }, String(i + 1)));
      element.addEventListener("pointerdown", () => this.touch(i));
      element.addEventListener("focusin", () => this.mark(i));
      element.addEventListener("keydown", (event) => {
        if (event.key !== "Delete" && event.key !== "Backspace") return;
        event.preventDefault();
        this.remove(i);
        this.touch(this.marked);
      });
      // Keys find the points in their order, and the line's own discs after them.
      this.sliders?.[0].element.before(element);
      return handle;
    };
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

  /** The point that was touched last, or else the last one. */
  get marked() {
    return this.chosen ?? this.points.length - 1;
  }

  mark(i) {
    this.chosen = i;
    this.describePoints();
  }

  /** Keys go to this point from now on. */
  touch(i) {
    this.points[i].element.querySelector("[role=slider]").focus({ preventScroll: true });
  }

  add([x, y]) {
    const { xs, ys } = this.stage.handles;
    if (xs.length >= this.specs.xs.most) return undefined;
    this.move({ xs: [...xs, tidy(this.specs.xs, x)], ys: [...ys, tidy(this.specs.ys, y)] });
    this.touch(xs.length);
    return this.points.at(-1);
  }

  /** A point by a button: done, and keys can move it. */
  put(at) {
    if (this.add(at)) this.stage.report();
  }

  /** A point under the pointer, which then holds it; whether there is one. */
  addAt(down) {
    const box = this.main.overlay.getBoundingClientRect();
    const at = this.plane.unplace(down.clientX - box.left, down.clientY - box.top);
    const { xaxis, yaxis } = this.plane.layout;
    const point = inside(at[0], xaxis.range) && inside(at[1], yaxis.range) && this.add(at);
    point?.take?.(down);
    return Boolean(point);
  }

  remove(i) {
    const { xs, ys } = this.stage.handles;
    if (xs.length <= this.specs.xs.fewest) return;
    this.chosen = Math.min(i, xs.length - 2);
    this.move({ xs: xs.toSpliced(i, 1), ys: ys.toSpliced(i, 1) });
    this.stage.report();
  }

  /** The middles of the gaps between points and towards the ends, the widest first. */
  gaps() {
    const { low, high } = this.specs.xs;
    const at = [low, ...this.stage.handles.xs, high].toSorted((a, b) => a - b);
    const gaps = at.slice(1).map((x, i) => ({ middle: (x + at[i]) / 2, width: x - at[i] }));
    return gaps.toSorted((a, b) => b.width - a.width);
  }

  /** In the widest gap, on the line held. */
  free() {
    const { slope, intercept } = this.stage.handles;
    const [{ middle }] = this.gaps();
    return [middle, slope * middle + intercept];
  }

  /** As far as the picture goes from the best line of the loss in focus. */
  outlier() {
    const { data, focus, handles } = this.stage;
    const best = this.fits?.[data.losses.findIndex((loss) => loss.key === focus)];
    const [slope, intercept] = Number.isFinite(best?.[0]) ? best : [handles.slope, handles.intercept];
    const gaps = this.gaps().filter(({ width }, i) => i === 0 || width >= LEAST_GAP);
    const places = gaps.flatMap(({ middle }) => data.outliers.map((y) => [middle, y]));
    const far = ([x, y]) => Math.abs(y - slope * x - intercept);
    return places.reduce((farthest, place) => (far(place) > far(farthest) ? place : farthest));
  }

  /** As many discs as there are points. */
  describePoints() {
    const { text } = this.stage.data;
    const { fewest, most } = this.specs.xs;
    const count = this.stage.handles.xs.length;
    if (this.points.length !== count) {
      while (this.points.length > count) this.points.pop().element.remove();
      while (this.points.length < count) this.points.push(this.newPoint(this.points.length));
      if (this.chosen >= count) this.chosen = undefined;
    }
    const [full, bare] = [count >= most, count <= fewest];
    this.points.forEach(({ element }, i) => element.classList.toggle("lv-line-chosen", i === this.chosen));
    for (const button of this.adders) button.setAttribute("aria-disabled", full);
    this.remover.setAttribute("aria-disabled", bare);
    this.remover.textContent = fill(text.remove, { k: this.marked + 1 });
    this.count.textContent = fill(text.count, { count });
    const words = full ? text.most : bare ? text.fewest : "";
    if (this.note.textContent !== words) this.note.textContent = words;
  }

  /** Handles, the line held and its residuals follow the finger; what needs the loss waits for torch. */
  place() {
    if (!this.line) return;
    const { slope, intercept, xs, ys } = this.stage.handles;
    const at = (x) => slope * x + intercept;
    this.describePoints();
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
