// Several classes: logits on their tracks, gradients as bars; with three, probabilities on the simplex and the label at a
// corner, with any other number a ladder of tracks and probabilities in its place.

import { Batch } from "./batch.js";
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
const LADDER = { left: 130, right: 44, label: 28 };
const SHARES = 0.34;

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
    this.count = data.count;
    const three = this.count === CORNERS.length;
    const x = Float64Array.from({ length: SIDE }, (_, i) => i / (SIDE - 1));
    this.map = new LossMap({
      Plotly,
      stage,
      className: "lv-main",
      contour: figures.simplex,
      surface: figures.surface,
      grid: { x, y: x.map((v) => v * HEIGHT) },
      key: (handles) => [handles.label, handles.arrows, handles.temperature, handles.twice, handles.weights],
      views: ["surface", "arrows"],
    });
    this.simplex = this.map.contour;
    const logits = card(three ? "lv-small lv-logits" : "lv-main lv-classes-ladder", three ? text.logits : text.ladder);
    logits.plot.remove();
    const bars = card("lv-small lv-bars", text.bars);
    this.logits = logits;
    this.batch = new Batch(stage);
    this.floor = h("p", { class: "lv-classes-floor", hidden: true });
    (three ? this.map : logits).frame.before(this.floor);
    this.board = pictures;
    pictures.classList.add("lv-classes");
    pictures.append(...(three ? [this.map.element] : []), logits.element, bars.element, this.batch.element);
    this.bars = new Picture(Plotly, bars.plot, figures.bars);
    this.pictures = [this.bars, ...(three ? this.map.pictures : [])];
    for (const picture of this.pictures) picture.tokens = stage.tokens;
    if (three) {
      this.simplex.drawn = () => this.place();
      this.simplex.draw("");
    }
    this.bars.draw("");
    this.tracks = new ResizeObserver(() => this.place());
    this.tracks.observe(logits.frame);
    this.handles();
    this.map.frame.addEventListener("dblclick", () => this.fit());
    bars.frame.addEventListener("dblclick", () => this.fit());
  }

  /** The logits' tracks: a few of them in a card of their own, or all over the ladder. */
  track(i) {
    if (this.count === CORNERS.length) return { ...TRACK, top: TRACK.top + i * TRACK.gap, width: this.logits.frame.clientWidth - TRACK.left - TRACK.right };
    const { clientWidth, clientHeight } = this.logits.frame;
    const width = clientWidth * (1 - SHARES) - LADDER.left - LADDER.right;
    return { left: LADDER.left, width, top: ((i + 0.5) * clientHeight) / this.count };
  }

  handles() {
    const { stage } = this;
    const { data } = stage;
    const end = () => stage.report();
    const specs = Object.fromEntries(data.handleSpecs.map((spec) => [spec.name, spec]));
    const { low, high } = specs.z1;
    const three = this.count === CORNERS.length;
    this.rungs = Array.from({ length: this.count }, (_, i) => {
      const output = h("output", { class: "lv-share", name: `p.${i + 1}`, "data-value": "" });
      const rung = h("span", { class: "lv-track" }, h("i", {}, fill(data.text.aClass, { k: i + 1 })), output);
      this.logits.overlay.append(rung);
      return rung;
    });
    this.outputs = this.rungs.map((rung) => rung.lastElementChild);
    this.sliders = this.rungs.map((_, i) => {
      const name = i < LOGITS.length ? LOGITS[i] : `more.${i - LOGITS.length}`;
      return slider({
        area: this.logits.overlay,
        spec: { ...specs.z1, name, label: fill(data.text.aLogit, { k: i + 1 }) },
        className: "lv-pred",
        place: (value) => {
          const { left, width, top } = this.track(i);
          return [left + ((value - low) / (high - low)) * width, top];
        },
        unplace: (at) => {
          const { left, width } = this.track(i);
          return low + ((at - left) / width) * (high - low);
        },
        move: (_, value) => this.move(this.withLogits({ [i]: value })),
        end,
      });
    });
    const spec = { ...specs.label, high: this.count };
    const label = { spec, className: "lv-target", move: (_, value) => this.move({ label: value }), end };
    if (!three) {
      this.shares = this.outputs.map((output) => h("span", { class: "lv-classes-share" }, h("i"), output));
      this.logits.overlay.append(...this.shares);
      this.label = slider({
        ...label,
        area: this.logits.overlay,
        place: (value) => [LADDER.label, this.track(value - 1).top],
        unplace: (_, top) => Math.floor((top / this.logits.frame.clientHeight) * this.count) + 1,
      });
      return;
    }
    this.label = slider({
      ...label,
      area: this.map.overlay,
      place: (value) => this.simplex.place(...CORNERS[value - 1]),
      unplace: (left, top) => {
        const far = CORNERS.map((corner) => Math.hypot(...this.simplex.place(...corner).map((v, i) => v - [left, top][i])));
        return far.indexOf(Math.min(...far)) + 1;
      },
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

  /** The logits by position, and handles with some of them replaced. */
  held() {
    const { handles } = this.stage;
    return [...LOGITS.map((name) => handles[name]), ...handles.more].slice(0, this.count);
  }

  withLogits(changed) {
    const { more } = this.stage.handles;
    const values = {};
    for (const [i, value] of Object.entries(changed)) {
      if (i < LOGITS.length) values[LOGITS[i]] = value;
      else values.more = (values.more ?? more).map((old, j) => (j === i - LOGITS.length ? value : old));
    }
    return values;
  }

  /** Probabilities fix logits up to a constant: their mean stays what it was. */
  movePoint(probs) {
    const { handles } = this.stage;
    const { low, high } = this.stage.data.handleSpecs[0];
    const mean = LOGITS.reduce((sum, name) => sum + handles[name], 0) / 3;
    const logs = probs.map((p) => handles.temperature * Math.log(p));
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
    if (!this.label) return;
    const { handles } = this.stage;
    this.rungs.forEach((rung, i) => {
      const { left, width, top } = this.track(i);
      rung.style.cssText = `top: ${top}px; left: ${left}px; width: ${width}px`;
      rung.classList.toggle("lv-classes-labelled", handles.label === i + 1);
    });
    this.held().forEach((value, i) => this.sliders[i]?.set(value));
    this.label.element.hidden = handles.label > this.count;
    if (!this.label.element.hidden) this.label.set(handles.label);
    if (!this.point) return this.placeShares();
    this.names.forEach((name, i) => {
      const [left, top] = this.simplex.place(...CORNERS[i]);
      name.style.transform = `translate(-50%, ${i === 2 ? "-200%" : "80%"}) translate(${left}px, ${top}px)`;
    });
    const at = this.follows ?? this.shown;
    if (at) this.point.set(at);
  }

  placeShares() {
    const { clientWidth } = this.logits.frame;
    this.shares.forEach((share, i) => {
      share.style.top = `${this.track(i).top}px`;
      share.style.left = `${clientWidth * (1 - SHARES)}px`;
      share.classList.toggle("lv-classes-labelled", this.stage.handles.label === i + 1);
    });
  }

  sync() {
    this.place();
    if (this.point) this.map.sync();
    this.batch.sync();
    this.board.classList.toggle("lv-classes-with-batch", this.stage.handles.batch);
  }

  wanted() {
    const { focus, handles } = this.stage;
    return ["bars", `formula:${focus}`, ...(this.point ? this.map.wanted() : []), ...(handles.batch ? [`batch:${focus}`] : [])];
  }

  draw(frame) {
    const { focus } = this.stage;
    const probs = Array.from(frame.arrays.probs.values);
    // With another number of classes the page is about to build this scene anew.
    if (probs.length !== this.count) return;
    this.shown = toPlane(probs);
    if (!this.stage.held) this.follows = undefined;
    this.outputs.forEach((output, i) => {
      const exact = Object.values(frame.numbers)[0]?.[`p.${i + 1}`] ?? probs[i];
      output.textContent = exact.toFixed(3);
      output.dataset.value = String(exact);
      output.dataset.seq = frame.seq;
      this.shares?.[i].style.setProperty("--share", exact);
    });
    this.drawFloor(frame);
    this.batch.draw(frame);
    const bars = rows(frame.arrays.bars);
    bars.forEach((y, i) => this.bars.set(i, { y }));
    const most = frame.arrays.bars.values.reduce((top, v) => (Number.isFinite(v) ? Math.max(top, Math.abs(v)) : top), 0);
    const reach = this.reach ?? 0;
    if (most > reach || !reach) {
      this.reach = Math.max(1, most) * 1.1;
      this.bars.range("yaxis", -this.reach, this.reach);
    }
    this.bars.draw(frame.seq);
    if (!this.point) return this.place();
    const arrows = frame.arrays[`arrows:${focus}`];
    if (arrows) this.simplex.set(2, frame.handles.arrows ? arrowTrace(rows(arrows)) : { x: [], y: [] });
    this.map.draw(frame);
    this.place();
  }

  /** What the mistake leaves where nothing could be better. */
  drawFloor(frame) {
    const { data, focus } = this.stage;
    const floor = frame.numbers[focus]?.corner;
    this.floor.hidden = floor == null;
    if (this.floor.hidden) return;
    const name = data.losses.find(({ key }) => key === focus).name;
    const [before, after] = fill(data.text.floor, { name, floor: "\n" }).split("\n");
    this.floor.replaceChildren(before, h("output", { name: "corner", "data-value": String(floor), "data-seq": frame.seq }, digits(floor)), after);
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
      const gradient = this.rungs.map((_, i) => i + 1).map((k) => digits(numbers[`gradient.${k}`])).join(", ");
      return fill(data.text.sentence, { name: loss.name, loss: digits(numbers.loss), gradient });
    });
    const probs = Array.from(frame.arrays.probs.values, (p) => p.toFixed(3)).join(", ");
    return `${fill(data.text.position, { probs, label: frame.handles.label })} ${parts.join(" ")}`;
  }

  table(frame) {
    const { losses, text } = this.stage.data;
    const bars = rows(frame.arrays.bars);
    const head = [text.aClassHead, text.logit, text.probability, ...losses.map((loss) => `${loss.name}: ${text.slope}`)];
    const logits = [...LOGITS.map((name) => frame.handles[name]), ...frame.handles.more];
    const body = this.rungs.map((_, i) => [fill(text.aClass, { k: i + 1 }), logits[i], frame.arrays.probs.values[i], ...bars.map((bar) => bar[i])]);
    return { head, body };
  }

  dispose() {
    this.map.dispose();
    this.tracks.disconnect();
    for (const picture of [this.bars, ...this.map.pictures]) picture.dispose();
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
