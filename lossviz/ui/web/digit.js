// The digit of a perturbation: before and after its attack, and on the plane of two directions that lead from it.

import { card } from "./cards.js";
import { clamp, digits, fill, h, show } from "./dom.js";
import { plane } from "./handles.js";
import { Picture, rows } from "./plots.js";

const PIXELS = 28;
/** Up to here the picture beside the finger has room on the side away from the digit, so that it hides no mark. */
const ROOM = 1.2;
const [COLD, WARM] = [[0, 114, 178], [213, 94, 0]];

/** Its cards are `elements`; what it asks for depends on nothing that is dragged on the toy network's picture. */
export class Digit {
  constructor({ Plotly, stage }) {
    this.stage = stage;
    this.drawn = {};
    const { figures, planeSide, handleSpecs } = stage.data;
    this.specs = Object.fromEntries(handleSpecs.map((spec) => [spec.name, spec]));
    this.elements = [this.pair(), this.around()];
    this.picture = new Picture(Plotly, this.plane.plot, figures.digit);
    const { low, high } = this.specs.along;
    const side = Float64Array.from({ length: planeSide }, (_, i) => low + ((high - low) * i) / (planeSide - 1));
    for (const i of [0, 1]) this.picture.set(i, { x: side, y: side });
    this.picture.tokens = stage.tokens;
    this.picture.drawn = () => this.place();
  }

  number(name, label) {
    return h("label", { class: "lv-number" }, h("span", {}, label), h("output", { name, "data-value": "" }, "–"));
  }

  /** The digit, the move and the attacked digit, with what the layer reads. */
  pair() {
    const { text } = this.stage.data;
    const own = card("lv-small lv-perturbation-digit", text.digit);
    own.plot.remove();
    own.overlay.remove();
    this.canvases = text.digitPictures.map((label) => canvas(label));
    this.said = h("output", { name: "digit.classes", "data-value": "" });
    this.numbers = Object.entries(text.digitNumbers).map(([name, label]) => this.number(name, label));
    this.shown = h(
      "div",
      { class: "lv-perturbation-digits", hidden: true },
      ...this.canvases.map((picture, i) => h("figure", {}, picture, h("figcaption", {}, text.digitPictures[i]))),
      h("p", {}, this.said),
      ...this.numbers,
    );
    this.missing = h("p", { class: "lv-fine", hidden: true }, text.digitMissing);
    own.frame.append(this.shown, this.missing);
    return own.element;
  }

  /** The map of the plane, a digit on it that a finger holds, and what it costs there. */
  around() {
    const { text } = this.stage.data;
    this.plane = card("lv-small lv-perturbation-plane", "");
    this.title = this.plane.element.querySelector("figcaption span");
    this.costs = Object.entries(text.digitAt).map(([name, label]) => this.number(name, label));
    this.still = h("p", { class: "lv-fine lv-perturbation-still", hidden: true });
    const told = h("div", { class: "lv-perturbation-told" }, ...this.costs, h("p", { class: "lv-fine" }, text.digitPlaneHelp));
    this.plane.element.append(h("div", { class: "lv-perturbation-around" }, this.plane.frame, told));
    this.plane.frame.append(this.still);
    this.marks = [[0, text.digitStart], [1, text.digitEnd]].map(([at, label]) => ({ at, element: h("span", { class: "lv-perturbation-mark", "aria-hidden": "true" }, h("b", {}, label)) }));
    this.plane.overlay.append(...this.marks.map(({ element }) => element));
    const { along, across } = this.specs;
    this.point = plane({
      area: this.plane.overlay,
      name: "digit",
      label: text.digitPoint,
      className: "lv-point lv-perturbation-walker",
      specs: [along, across],
      place: (x, y) => this.picture.place(x, y),
      unplace: (left, top) => this.picture.unplace(left, top),
      move: ([along, across]) => {
        this.stage.moved({ along, across });
        this.place();
      },
      end: () => this.stage.report(),
    });
    this.rider = canvas(text.digitHere);
    this.read = h("output", { name: "at.class", "data-value": "" });
    this.point.element.append(h("span", { class: "lv-perturbation-rider" }, this.rider, this.read));
    return this.plane.element;
  }

  /** The disc follows the finger, and its picture stays beside it. */
  place() {
    const { along, across } = this.stage.handles;
    if (!this.picture?.element._fullLayout) return;
    this.point.set([along, across]);
    const { dataset } = this.point.element;
    dataset.side = along > ROOM || (along <= 0 && along >= -ROOM) ? "left" : "right";
    dataset.end = across > ROOM ? "below" : across < -ROOM ? "above" : "beside";
    for (const { at, element } of this.marks) {
      const [left, top] = this.picture.place(at, 0);
      element.style.transform = `translate(${left}px, ${top}px)`;
    }
  }

  sync() {
    const { data, focus, handles } = this.stage;
    const name = data.losses.find((loss) => loss.key === focus)?.name;
    this.title.textContent = fill(data.text.digitPlane, { name: handles.map === "clean" ? data.text.crossEntropy : name });
    this.place();
  }

  /** What each view depends on. */
  states({ digit, epsilon, step_size, steps, map, along, across }, params) {
    const { focus } = this.stage;
    const attack = [focus, params[focus], digit, epsilon, step_size, steps];
    const views = { digit: attack, plane: [attack, map], at: [attack, along, across] };
    return Object.fromEntries(Object.entries(views).map(([view, state]) => [view, JSON.stringify(state)]));
  }

  wanted() {
    const { handles, params, focus } = this.stage;
    const states = Object.entries(this.states(handles, params));
    return states.filter(([view, state]) => this.drawn[view] !== state).map(([view]) => `${view}:${focus}`);
  }

  draw(frame) {
    const { focus, data } = this.stage;
    const states = this.states(frame.handles, frame.params);
    const draw = { digit: (array) => this.drawPair(rows(array), frame), plane: (array) => this.drawPlane(array), at: (array) => this.drawPoint(array.values, frame) };
    for (const [view, run] of Object.entries(draw)) {
      const array = frame.arrays[`${view}:${focus}`];
      if (!array) continue;
      run(array);
      this.drawn[view] = states[view];
    }
    const known = (view) => this.drawn[view] === states[view];
    this.shown.hidden = !known("digit");
    this.missing.hidden = known("digit") || !frame.numbers[focus];
    const lies = known("plane") && known("at");
    this.plane.overlay.hidden = !lies;
    this.plane.plot.classList.toggle("lv-away", !lies);
    this.still.hidden = lies || !frame.numbers[focus];
    this.still.textContent = known("digit") ? data.text.digitStill : data.text.digitMissing;
    if (!lies) for (const label of this.costs) show(label.lastChild, null, frame.seq);
    this.picture.draw(frame.seq);
    this.plane.plot.dataset.seq = frame.seq;
  }

  drawPair([before, move, after], frame) {
    const numbers = frame.numbers[this.stage.focus];
    const most = move.reduce((top, v) => Math.max(top, Math.abs(v)), 1e-9);
    paint(this.canvases[0], before, ink);
    paint(this.canvases[1], move, (v) => tint(v / most));
    paint(this.canvases[2], after, ink);
    const classes = { before: numbers["digit.before"], after: numbers["digit.after"] };
    this.said.textContent = fill(this.stage.data.text.digitVerdict, classes);
    this.said.dataset.value = JSON.stringify(Object.values(classes));
    this.said.classList.toggle("lv-perturbation-fooled", classes.before !== classes.after);
    this.start = classes.before;
    for (const label of this.numbers) show(label.lastChild, numbers[label.lastChild.name], frame.seq);
  }

  drawPlane({ shape, values }) {
    const [, side] = shape;
    const both = rows({ shape: [2 * side, side], values });
    this.picture.set(0, { z: both.slice(0, side) });
    this.picture.set(1, { z: both.slice(side) });
  }

  drawPoint(values, frame) {
    const numbers = frame.numbers[this.stage.focus];
    paint(this.rider, values, ink);
    this.read.textContent = fill(this.stage.data.text.digitRead, { digit: numbers["at.class"] });
    this.read.dataset.value = String(numbers["at.class"]);
    this.read.dataset.seq = frame.seq;
    this.read.classList.toggle("lv-perturbation-fooled", this.start !== numbers["at.class"]);
    for (const label of this.costs) show(label.lastChild, numbers[label.lastChild.name], frame.seq);
  }

  /** The point on the plane as rows of a table. */
  table({ handles }) {
    if (this.plane.overlay.hidden) return [];
    const { text } = this.stage.data;
    const costs = this.costs.map((label) => [label.firstChild.textContent, Number(label.lastChild.dataset.value)]);
    return [[text.digitPoint], [this.specs.along.label, handles.along], [this.specs.across.label, handles.across], ...costs, [text.digitHead, this.read.dataset.value]];
  }

  /** The point on the plane in words; nothing where there is no plane. */
  summary({ handles }) {
    if (this.plane.overlay.hidden) return "";
    const clean = digits(Number(this.costs.at(-1).lastChild.dataset.value));
    return fill(this.stage.data.text.digitSentence, { along: digits(handles.along), across: digits(handles.across), digit: this.read.dataset.value, clean });
  }
}

function canvas(label) {
  return h("canvas", { width: PIXELS, height: PIXELS, role: "img", "aria-label": label });
}

const ink = (v) => Array(3).fill(255 * (1 - clamp(v, 0, 1)));

/** White in the middle, blue for less ink, orange for more. */
function tint(v) {
  const [end, share] = [v < 0 ? COLD : WARM, Math.abs(v)];
  return end.map((channel) => 255 + share * (channel - 255));
}

function paint(canvas, values, colour) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(PIXELS, PIXELS);
  values.forEach((v, i) => image.data.set([...colour(v), 255], 4 * i));
  context.putImageData(image, 0, 0);
}
