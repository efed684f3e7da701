// Critic and generator: samples on a line or in a plane, the critic that judges them, the pull over the distance, bars.

import { card } from "./cards.js";
import { LineAct } from "./critic_line.js";
import { evenly, grouped, highest } from "./critic_parts.js";
import { PlaneAct } from "./critic_plane.js";
import { digits, fill, h } from "./dom.js";
import { Picture, rows } from "./plots.js";

const ACTS = { line: LineAct, plane: PlaneAct };
const SIDES = ["generator", "discriminator"];
const SPARE = 1.12;
const DECADES = 4;

export function create(tools) {
  return new Critic(tools);
}

class Critic {
  constructor({ Plotly, stage, pictures }) {
    Object.assign(this, { Plotly, stage, frame: pictures });
    const { data } = stage;
    const { text, figures } = data;
    this.turns = SIDES.map((side) => h("button", { type: "button", class: "lv-tab lv-critic-turn", "data-turn": side, onclick: () => this.turn(side) }, text[side]));
    this.means = ["real", "fake"].map((kind) => h("output", { name: `score.${kind}`, "data-value": "" }, "–"));
    this.reachCard = card("lv-small lv-critic-reach", text.reach);
    this.barsCard = card("lv-small lv-critic-bars", text.bars);
    pictures.append(this.reachCard.element, this.barsCard.element);
    this.reach = new Picture(Plotly, this.reachCard.plot, figures.reach);
    this.bars = new Picture(Plotly, this.barsCard.plot, figures.bars);
    const distances = evenly(data.distances);
    data.losses.forEach((_, i) => this.reach.set(i, { x: distances }));
    for (const picture of [this.reach, this.bars]) picture.tokens = stage.tokens;
    this.reach.range("yaxis", 1 - DECADES, 1);
    this.bars.range("yaxis", -1, 1);
    this.show();
    for (const picture of [this.reach, this.bars]) picture.draw("");
  }

  /** Whose turn it is and what the critic says on average stand above either act. */
  head() {
    const { text } = this.stage.data;
    const [real, fake] = this.means;
    return [
      h("span", { class: "lv-critic-means" }, h("label", {}, `${text.meanReal} `, real), h("label", {}, `${text.meanFake} `, fake)),
      h("span", { class: "lv-tabs", role: "group", "aria-label": text.turn, title: text.turn }, ...this.turns),
    ];
  }

  /** The act of the space where the samples lie; the other one is taken down. */
  show() {
    const { stage } = this;
    const { space } = stage.handles;
    if (this.act?.space === space) return;
    this.act?.dispose();
    this.act?.element.remove();
    this.frame.classList.toggle("lv-critic-in-plane", space === "plane");
    this.act = new ACTS[space]({ Plotly: this.Plotly, stage, head: this.head(), frame: this.frame });
    this.act.overlay.addEventListener("pointerdown", (event) => this.nearest(event), { capture: true });
    this.act.overlay.parentElement.addEventListener("dblclick", () => this.fit());
    const { text } = stage.data;
    const [title, unit] = space === "plane" ? [text.lengths, text.length] : [text.bars, text.gradient];
    this.barsCard.element.querySelector("figcaption span").textContent = title;
    const { yaxis } = this.bars.layout;
    this.bars.layout.yaxis = { ...yaxis, title: { ...yaxis.title, text: unit } };
    this.bars.redraw();
    this.fitted = false;
  }

  /** Samples may lie closer together than a finger is wide: the nearest disc is the one that is held. */
  nearest(event) {
    const under = event.target.closest(".lv-handle");
    if (!under || !event.isTrusted) return;
    const distance = (element) => {
      const { left, top, width, height } = element.getBoundingClientRect();
      return Math.hypot(left + width / 2 - event.clientX, top + height / 2 - event.clientY);
    };
    const near = this.act.elements.filter((element) => !element.hidden);
    const held = near.reduce((best, element) => (distance(element) < distance(best) ? element : best), under);
    if (held === under) return;
    event.stopPropagation();
    event.preventDefault();
    held.dispatchEvent(new PointerEvent("pointerdown", event));
  }

  /** Every loss that has sides takes this one. */
  turn(side) {
    const { stage } = this;
    stage.pause();
    for (const params of Object.values(stage.params)) if ("side" in params) params.side = side;
    stage.sync();
    stage.report();
  }

  sync() {
    this.show();
    const { focus, params, handles } = this.stage;
    const side = params[focus]?.side ?? "discriminator";
    for (const button of this.turns) button.setAttribute("aria-pressed", String(button.dataset.turn === side));
    for (const mean of this.means) {
      if (mean.dataset.loss !== focus) Object.assign(mean, { textContent: "–" }).dataset.value = "";
      mean.dataset.loss = focus;
    }
    const scaled = this.act.scaledBy(handles, focus);
    if (this.scaled !== scaled) this.fitted = false;
    this.scaled = scaled;
    this.act.sync();
  }

  wanted() {
    return ["curve", "bars", "reach", `formula:${this.stage.focus}`, ...this.act.wanted()];
  }

  draw(frame) {
    if (frame.handles.space !== this.act.space) return; // an answer from before the samples went elsewhere
    const { losses } = this.stage.data;
    const { reach, bars, apart } = frame.arrays;
    const { act } = this;
    act.take(frame);
    if (!this.fitted || (!this.stage.held && act.outside(frame))) this.fitTo(frame);
    act.draw(frame);
    rows(reach).forEach((y, i) => this.reach.set(i, { y: Array.from(y, (size) => (size > 0 ? size : null)) }));
    const pulls = losses.map((loss) => frame.numbers[loss.key]?.pull || null);
    this.reach.set(losses.length, { x: pulls.map(() => apart.values[0]), y: pulls });
    this.reach.draw(frame.seq);
    rows(bars).forEach((y, i) => this.bars.set(i, { y }));
    this.growBars(bars.values);
    this.bars.draw(frame.seq);
  }

  fitTo(frame) {
    this.act.fitTo(frame);
    const top = Math.log10((highest(frame.arrays.reach.values) || 1) * 1.5);
    this.reach.range("yaxis", top - DECADES, top);
    this.most = undefined;
    this.fitted = true;
  }

  growBars(values) {
    const most = highest(values);
    if (this.most !== undefined && most <= this.most) return;
    this.most = (most || 1) * SPARE;
    this.bars.range("yaxis", this.act.space === "plane" ? 0 : -this.most, this.most);
  }

  fit() {
    this.fitted = false;
    this.stage.ask();
  }

  redress() {
    for (const picture of [...this.act.pictures, this.reach, this.bars]) {
      picture.tokens = this.stage.tokens;
      picture.redraw();
    }
  }

  summary(frame) {
    const { data } = this.stage;
    const { axes, real, fake } = data.spaces[frame.handles.space];
    const places = (values) => grouped(values, axes.length).map((place) => written(place.map((value) => value.toFixed(2)))).join(", ");
    const parts = data.losses.map((loss) => {
      const numbers = frame.numbers[loss.key] ?? {};
      const gradient = slopes(numbers, axes).map((slope) => written(slope.map(digits))).join(", ");
      return fill(data.text.sentence, { name: loss.name, loss: digits(numbers.loss), pull: digits(numbers.pull), gradient });
    });
    const means = ["score.real", "score.fake"].map((name) => digits(frame.numbers[this.stage.focus]?.[name]));
    const mean = fill(data.text.meanScores, { real: means[0], fake: means[1] });
    return `${fill(data.text.position, { real: places(frame.handles[real]), fake: places(frame.handles[fake]) })} ${mean} ${parts.join(" ")}`;
  }

  /** A row for each sample and each place between two, with its score and what a generated one receives. */
  table(frame) {
    const { losses, text, spaces, samples } = this.stage.data;
    const { axes, real, fake } = spaces[frame.handles.space];
    const { scores, between } = frame.arrays;
    const named = (words) => axes.map((axis) => words + axis.replace(".", " "));
    const head = [text.sample, ...named(text.place), ...losses.flatMap((loss) => [`${loss.name}: ${text.score}`, ...named(`${loss.name}: ${text.slope}`)])];
    const kinds = [
      [text.realSample, frame.handles[real]],
      [text.fakeSample, frame.handles[fake]],
      [text.between, Array.from(between.values)],
    ];
    const body = kinds.flatMap(([words, places], kind) =>
      grouped(places, axes.length).map((place, i) => {
        const own = losses.flatMap((loss, j) => {
          const score = scores.values[(j * kinds.length + kind) * samples + i];
          const received = kind === 1 ? slopes(frame.numbers[loss.key] ?? {}, axes)[i] : axes.map(() => undefined);
          return [score, ...received.map((slope) => slope ?? "–")];
        });
        return [fill(words, { k: i + 1 }), ...place, ...own];
      }),
    );
    return { head, body };
  }

  dispose() {
    this.act.dispose();
    for (const picture of [this.reach, this.bars]) picture.dispose();
  }
}

/** The gradient that each generated sample receives, by coordinate. */
function slopes(numbers, axes) {
  const all = [];
  for (let k = 1; `gradient.${k}${axes[0]}` in numbers; k += 1) all.push(axes.map((axis) => numbers[`gradient.${k}${axis}`]));
  return all;
}

const written = (place) => (place.length > 1 ? `(${place.join(", ")})` : place[0]);
