// Several classes: logits on their tracks, gradients as bars; with three, probabilities on the simplex and the label at a
// corner, with any other number a ladder of tracks and probabilities in its place. A soft label lies anywhere on the
// simplex, and has a disc for each class beside that class's probability.

import { Batch } from "./batch.js";
import { card } from "./cards.js";
import { clamp, digits, fill, h } from "./dom.js";
import { plane, slider } from "./handles.js";
import { LossMap } from "./map.js";
import { Picture, rows } from "./plots.js";
import { asShares, labelChoice, sharesOf, withShare } from "./softlabel.js";

const HEIGHT = Math.sqrt(3) / 2;
const CORNERS = [[0, 0], [1, 0], [0.5, HEIGHT]];
const SMALLEST = 1e-3;
const SIDE = 81;
const ARROW_REACH = 0.3;
const LOGITS = ["z1", "z2", "z3"];
const TRACK = { top: 44, gap: 62, left: 84, right: 30 };
const SOFT_TRACK = { gap: 96, top: 0.34, below: 0.42 };
const LADDER = { left: 130, right: 44, label: 28 };
const SOFT_LADDER = { left: 74, right: 40 };
const SHARES = { part: 0.34, softPart: 0.5, right: 14, words: 74 };

export function create(tools) {
  return new Classes(tools);
}

/** Where a probability vector lies in the picture, and back: barycentric coordinates. */
const toPlane = ([, second, third]) => [second + third / 2, third * HEIGHT];

function fromPlane(x, y, smallest = SMALLEST) {
  const third = y / HEIGHT;
  const second = x - third / 2;
  const kept = [1 - second - third, second, third].map((p) => Math.max(smallest, p));
  const sum = kept.reduce((a, b) => a + b);
  return kept.map((p) => p / sum);
}

class Classes {
  constructor({ Plotly, stage, pictures }) {
    this.stage = stage;
    const { data } = stage;
    const { text, figures } = data;
    this.count = data.count;
    this.soft = data.soft;
    const three = this.count === CORNERS.length;
    const x = Float64Array.from({ length: SIDE }, (_, i) => i / (SIDE - 1));
    this.map = new LossMap({
      Plotly,
      stage,
      className: "lv-main",
      contour: figures.simplex,
      surface: figures.surface,
      grid: { x, y: x.map((v) => v * HEIGHT) },
      key: (handles) => [handles.label, handles.soft, handles.arrows, handles.temperature, handles.twice, handles.weights],
      views: ["surface", "arrows"],
    });
    this.simplex = this.map.contour;
    const logits = card(three ? "lv-small lv-logits" : "lv-main lv-classes-ladder", this.soft ? text.logitsSoft : three ? text.logits : text.ladder);
    logits.plot.remove();
    const bars = card("lv-small lv-bars", text.bars);
    this.logits = logits;
    this.batch = new Batch(stage);
    this.floor = h("p", { class: "lv-classes-floor", hidden: true });
    this.choice = labelChoice(stage, this.count);
    (three ? this.map : logits).frame.before(this.choice.element, this.floor);
    this.board = pictures;
    pictures.classList.add("lv-classes");
    pictures.classList.toggle("lv-classes-soft", this.soft);
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
    this.choice.shown();
  }

  /** Whether the label is still of the kind that this was built for; if not, the page is about to build it anew. */
  fits({ soft }) {
    return soft.length > 0 === this.soft;
  }

  /** The logits' tracks: a few of them in a card of their own, or all over the ladder. */
  track(i) {
    const { clientWidth, clientHeight } = this.logits.frame;
    if (this.count === CORNERS.length) {
      const gap = this.soft ? this.softGap() : TRACK.gap;
      const top = this.soft ? gap * SOFT_TRACK.top : TRACK.top;
      return { left: TRACK.left, width: clientWidth - TRACK.left - TRACK.right, top: top + i * gap };
    }
    const { left, right } = this.soft ? SOFT_LADDER : LADDER;
    return { left, width: this.sharesFrom() - left - right, top: ((i + 0.5) * clientHeight) / this.count };
  }

  softGap() {
    return Math.min(SOFT_TRACK.gap, this.logits.frame.clientHeight / this.count);
  }

  /** Where probabilities and shares of the label are drawn: under the logit, or beside it on the ladder. */
  shareTrack(i) {
    const track = this.track(i);
    if (this.count === CORNERS.length) return { ...track, top: track.top + this.softGap() * SOFT_TRACK.below };
    const left = this.sharesFrom();
    return { left, width: this.logits.frame.clientWidth - left - SHARES.right - SHARES.words, top: track.top };
  }

  sharesFrom() {
    return this.logits.frame.clientWidth * (1 - (this.soft ? SHARES.softPart : SHARES.part));
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
    if (!three || this.soft) {
      this.shares = this.outputs.map((output) => h("span", { class: "lv-classes-share" }, h("i"), three ? null : output));
      this.logits.overlay.append(...this.shares);
    }
    if (this.soft) this.softHandles(end);
    else this.label = this.labelHandle(specs.label, end);
    if (!three) return;
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

  /** The label as one class: at a corner, or beside the ladder. */
  labelHandle(spec, end) {
    const label = { spec: { ...spec, high: this.count }, className: "lv-target", move: (_, value) => this.move({ label: value }), end };
    if (this.count === CORNERS.length) {
      const place = (value) => this.simplex.place(...CORNERS[value - 1]);
      const far = (left, top) => CORNERS.map((_, i) => Math.hypot(...place(i + 1).map((v, j) => v - [left, top][j])));
      return slider({
        ...label,
        area: this.map.overlay,
        place,
        unplace: (left, top) => far(left, top).indexOf(Math.min(...far(left, top))) + 1,
      });
    }
    return slider({
      ...label,
      area: this.logits.overlay,
      place: (value) => [LADDER.label, this.track(value - 1).top],
      unplace: (_, top) => Math.floor((top / this.logits.frame.clientHeight) * this.count) + 1,
    });
  }

  /** The label as shares: a disc for each class, and with three a point on the simplex. */
  softHandles(end) {
    const { text, handleSpecs } = this.stage.data;
    const { low, high, step } = handleSpecs.find(({ name }) => name === "soft");
    this.softOutputs = this.shares.map((share, i) => {
      const output = h("output", { class: "lv-classes-y", name: `y.${i + 1}`, "data-value": "" });
      share.append(output);
      return output;
    });
    this.softSliders = this.shares.map((_, i) =>
      slider({
        area: this.logits.overlay,
        spec: { name: `soft.${i}`, label: fill(text.aShare, { k: i + 1 }), low, high, step, default: low },
        className: "lv-target",
        place: (value) => {
          const { left, width, top } = this.shareTrack(i);
          return [left + value * width, top];
        },
        unplace: (at) => {
          const { left, width } = this.shareTrack(i);
          return (at - left) / width;
        },
        move: (_, value) => this.move({ soft: this.withShare(i, value) }),
        end,
      }),
    );
    if (this.count !== CORNERS.length) return;
    const axis = (name, label, most) => ({ name, label, low, high: most, step, default: low });
    this.softPoint = plane({
      area: this.map.overlay,
      name: "soft",
      label: text.softPoint,
      className: "lv-target",
      specs: [axis("x", text.pointX, 1), axis("y", text.pointY, HEIGHT)],
      place: (x, y) => this.simplex.place(x, y),
      unplace: (left, top) => this.simplex.unplace(left, top),
      move: ([x, y]) => this.move({ soft: asShares(fromPlane(x, y, 0)) }),
      end,
    });
  }

  /** Who takes a disc to the end and back finds the others as they were: they are shared out as before its first move. */
  withShare(i, value) {
    const { soft } = this.stage.handles;
    if (this.moved?.disc !== i || soft.join() !== this.moved.soft.join()) {
      this.moved = { disc: i, start: sharesOf(this.stage.handles, this.count) ?? Array(this.count).fill(0) };
    }
    this.moved.soft = withShare(this.moved.start, i, value);
    return this.moved.soft;
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
    if (!this.sliders) return;
    const { handles } = this.stage;
    const labelled = (i) => !this.soft && handles.label === i + 1;
    this.rungs.forEach((rung, i) => {
      const { left, width, top } = this.track(i);
      rung.style.cssText = `top: ${top}px; left: ${left}px; width: ${width}px`;
      rung.classList.toggle("lv-classes-labelled", labelled(i));
    });
    this.held().forEach((value, i) => this.sliders[i]?.set(value));
    this.placeLabel(handles);
    this.shares?.forEach((share, i) => {
      const { left, width, top } = this.shareTrack(i);
      share.style.top = `${top}px`;
      share.style.left = `${left}px`;
      share.style.setProperty("--room", `${width}px`);
      share.classList.toggle("lv-classes-labelled", labelled(i));
    });
    if (!this.point) return;
    this.names.forEach((name, i) => {
      const [left, top] = this.simplex.place(...CORNERS[i]);
      name.style.transform = `translate(-50%, ${i === 2 ? "-200%" : "80%"}) translate(${left}px, ${top}px)`;
    });
    const at = this.follows ?? this.shown;
    if (at) this.point.set(at);
  }

  placeLabel(handles) {
    if (this.label) {
      this.label.element.hidden = handles.label > this.count;
      if (!this.label.element.hidden) this.label.set(handles.label);
      return;
    }
    const shares = sharesOf(handles, this.count);
    this.softSliders.forEach((handle, i) => handle.set(shares?.[i] ?? 0));
    if (!this.softPoint) return;
    this.softPoint.element.hidden = !shares;
    if (shares) this.softPoint.set(toPlane(shares));
  }

  sync() {
    this.place();
    if (this.point) this.map.sync();
    this.batch.sync();
    this.choice.sync();
    this.board.classList.toggle("lv-classes-with-batch", this.stage.handles.batch);
  }

  wanted() {
    const { focus, handles } = this.stage;
    if (!this.fits(handles)) return ["bars"];
    return ["bars", `formula:${focus}`, ...(this.point ? this.map.wanted() : []), ...(handles.batch ? [`batch:${focus}`] : [])];
  }

  draw(frame) {
    const { focus } = this.stage;
    const probs = Array.from(frame.arrays.probs.values);
    // With another number of classes the page is about to build this scene anew.
    if (probs.length !== this.count || !this.fits(frame.handles)) return;
    this.shown = toPlane(probs);
    if (!this.stage.held) this.follows = undefined;
    this.outputs.forEach((output, i) => {
      const exact = Object.values(frame.numbers)[0]?.[`p.${i + 1}`] ?? probs[i];
      output.textContent = exact.toFixed(3);
      output.dataset.value = String(exact);
      output.dataset.seq = frame.seq;
      this.shares?.[i].style.setProperty("--share", exact);
    });
    this.softOutputs?.forEach((output, i) => {
      const exact = frame.told.soft[i];
      output.textContent = exact.toFixed(3);
      output.dataset.value = String(exact);
      output.dataset.seq = frame.seq;
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
    const [before, after] = fill(this.soft ? data.text.floorSoft : data.text.floor, { name, floor: "\n" }).split("\n");
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
    const label = frame.told.soft ? fill(data.text.softly, { shares: frame.told.soft.map((y) => y.toFixed(3)).join(", ") }) : fill(data.text.surely, { label: frame.handles.label });
    return `${fill(data.text.position, { probs })} ${label} ${parts.join(" ")}`;
  }

  table(frame) {
    const { losses, text } = this.stage.data;
    const bars = rows(frame.arrays.bars);
    const { soft } = frame.told;
    const head = [text.aClassHead, text.logit, text.probability, ...(soft ? [text.share] : []), ...losses.map((loss) => `${loss.name}: ${text.slope}`)];
    const logits = [...LOGITS.map((name) => frame.handles[name]), ...frame.handles.more];
    const body = this.rungs.map((_, i) => [fill(text.aClass, { k: i + 1 }), logits[i], frame.arrays.probs.values[i], ...(soft ? [soft[i]] : []), ...bars.map((bar) => bar[i])]);
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
