// A run as it learns: points arrive by socket, one line a loss, names at the lines' ends.

import { digits, fill, h, show } from "./dom.js";
import { card, swatch } from "./cards.js";
import { loadPlotly, Picture, theme, watchTheme } from "./plots.js";
import { address, Link } from "./socket.js";

const GONE_MS = 1500;
const DRAW_EVERY_MS = 90;
const LABEL_GAP = 17;
const BAND_LABEL_GAP = 32;
const SETTLED = 0.04;
const NARROW = 560;
/** By picture: the metric of its lines, and that of its dots. */
const CURVES = [
  ["accuracy", "test_accuracy_sample", "test_accuracy"],
  ["test_loss", "test_loss_sample", "test_loss"],
  ["train_loss", "train_loss"],
  ["grad_norm", "grad_norm"],
];
const LOGARITHMIC = ["train_loss", "grad_norm", "test_loss"];
const OVER = ["done", "failed", "stopped", "interrupted"];
const views = new WeakMap();

export function render(component) {
  const root = component.parentElement.querySelector(".lv-root");
  const { run } = component.data;
  let view = views.get(root);
  if (view && (view.shape !== shape(run) || (view.data.run.id && view.data.run.id !== run.id))) {
    view.dispose();
    view = undefined;
  }
  if (!view) {
    view = new View(root, component);
    views.set(root, view);
  }
  view.update(component);
}

/** Other losses, seeds or epochs need other pictures; a run that begins takes those that stood there empty. */
const shape = ({ names, total_steps, seeds }) => JSON.stringify([names, total_steps, seeds]);
const EMPTY = { x: [], y: [], low: [], high: [] };

export function unmounted(component) {
  const root = component.parentElement.querySelector(".lv-root");
  setTimeout(() => {
    if (root && !root.isConnected) views.get(root)?.dispose();
  }, GONE_MS);
}

class View {
  constructor(root, component) {
    Object.assign(this, { root, data: component.data, shape: shape(component.data.run), last: 0, step: 0, series: new Map() });
    this.build();
  }

  update(component) {
    this.component = component;
    this.data = component.data;
    if (!this.data.run.id) return;
    if (this.link) this.link.again();
    else this.follow();
  }

  follow() {
    const { base, run } = this.data;
    this.run = run;
    this.link = new Link({
      url: address(base, `/live/runs/${encodeURIComponent(run.id)}`),
      first: () => ({ token: this.data.token, after: this.last }),
      renew: () => this.component.setTriggerValue("token", String(Date.now())),
      message: (message) => this.receive(JSON.parse(message)),
      state: (state) => this.connection(state),
    });
    this.progress();
  }

  async build() {
    const { data, root } = this;
    const { text, figures, run } = data;
    const Plotly = await loadPlotly(data.folder);
    if (!root.isConnected) return;
    this.tokens = theme(root);
    root.classList.add("lv-training");
    this.bar = h("progress", { max: run.total_steps, value: 0, "aria-label": text.progress });
    this.words = h("p", { class: "lv-progress-words", role: "status" }, text.empty);
    this.stop = h("button", { class: "lv-button", type: "button", onclick: () => this.ask() }, text.stop);
    this.stop.hidden = true;
    const head = h("div", { class: "lv-progress" }, this.bar, this.stop, this.words);
    this.cards = Object.fromEntries(Object.keys(figures).map((name) => [name, card(name === "accuracy" ? "lv-main" : "lv-small", text[name])]));
    const pictures = h("div", { class: "lv-pictures lv-curves" }, ...Object.values(this.cards).map((entry) => entry.element));
    this.status = h("p", { class: "lv-status", role: "status" });
    root.replaceChildren(head, pictures, this.numbers(), this.status);
    this.pictures = Object.fromEntries(Object.entries(this.cards).map(([name, entry]) => [name, new Picture(Plotly, entry.plot, figures[name])]));
    // On a phone the names stand in the list below alone.
    if (root.clientWidth < NARROW) this.pictures.accuracy.layout.margin.r = 16;
    for (const picture of Object.values(this.pictures)) {
      picture.tokens = this.tokens;
      picture.draw("");
    }
    this.labels = run.names.map((_, i) => h("span", { class: "lv-end", style: `color:var(--lv-loss${i})` }, h("span"), h("small")));
    this.cards.accuracy.overlay.append(...this.labels);
    this.themes = watchTheme(root, () => this.redress());
    this.ready = true;
    if (this.run) this.progress();
    this.drawSoon();
  }

  /** The numbers of every loss; the table twin of the pictures opens below. */
  numbers() {
    const { text, run, dashes } = this.data;
    const outputs = [
      ["test_accuracy", text.accuracyShort],
      ["test_loss", text.testLossShort],
      ["train_loss", text.trainLossShort],
    ];
    const rows = run.names.map((name, i) =>
      h(
        "li",
        { "data-member": i },
        h("div", { class: "lv-name" }, swatch(i, dashes[i]), name),
        h("div", { class: "lv-row" }, ...outputs.map(([metric, label]) => h("label", { class: "lv-number" }, h("span", {}, label), h("output", { name: metric, "data-member": i, "data-value": "" }, "–"), h("small")))),
      ),
    );
    this.table = h("details", { class: "lv-table", ontoggle: () => this.fillTable() }, h("summary", {}, text.table), h("div"));
    this.summary = h("p", { class: "lv-hidden", "aria-live": "polite" });
    return h("aside", { class: "lv-side" }, h("ul", { class: "lv-losses" }, ...rows), this.table, this.summary);
  }

  receive(message) {
    if (message.error) return this.say(message.error);
    if (this.offline) this.connection("live");
    for (const [seq, member, step, metric, value] of message.points ?? []) {
      if (seq <= this.last) continue;
      this.last = seq;
      this.step = Math.max(this.step, step);
      const { names, seeds, steps_per_epoch } = this.data.run;
      const key = `${metric}/${member % names.length}`;
      if (!this.series.has(key)) this.series.set(key, new Series(seeds));
      this.series.get(key).add(step / steps_per_epoch, Math.floor(member / names.length), typeof value === "number" ? value : null);
    }
    if (message.run) {
      this.run = { ...this.run, ...message.run };
      this.arrived = performance.now();
    }
    this.progress();
    this.drawSoon();
  }

  /** Numbers first, pictures right after; a stream of points is drawn at the pace of the eye. */
  drawSoon() {
    if (!this.ready) return;
    if (this.timer) {
      this.more = true;
      return;
    }
    const wait = Math.max(0, DRAW_EVERY_MS - (performance.now() - (this.drawnAt ?? 0)));
    this.timer = setTimeout(() => {
      this.drawnAt = performance.now();
      this.more = false;
      this.show();
      requestAnimationFrame(() => {
        this.timer = undefined;
        if (!this.root.isConnected) return;
        this.draw();
        if (this.more) this.drawSoon(); // points, or the run's end, came in between: they are not on screen yet
      });
    }, wait);
  }

  /** A loss's line: the mean of its seeds, and the lowest and highest of them. */
  line(metric, place) {
    return this.series.get(`${metric}/${place}`)?.line(OVER.includes(this.run?.status)) ?? EMPTY;
  }

  show() {
    for (const output of this.root.querySelectorAll("output[data-member]")) {
      const exact = this.line(output.name, output.dataset.member);
      const sample = this.line(`${output.name}_sample`, output.dataset.member);
      const shown = exact.y.at(-1) == null ? sample : exact;
      show(output, shown.y.at(-1), this.last);
      output.nextElementSibling.textContent = this.span(shown, -1);
    }
    if (this.table.open) this.fillTable();
  }

  draw() {
    const { names, seeds } = this.data.run;
    const lines = seeds > 1 ? names.length : 0;
    names.forEach((_, i) => {
      for (const [name, line, dots] of CURVES) {
        const { x, y } = this.line(line, i);
        this.pictures[name].set(lines + i, { x, y });
        if (lines) this.pictures[name].set(i, band(this.line(line, i)));
        if (dots) {
          const { x, y } = this.line(dots, i);
          this.pictures[name].set(lines + names.length + i, { x, y });
        }
      }
    });
    this.pictures.accuracy.range("yaxis", ...this.accuracyRange());
    for (const name of LOGARITHMIC) this.pictures[name].range("yaxis", ...this.logRange(name));
    for (const picture of Object.values(this.pictures)) picture.draw(this.last);
    this.placeLabels();
  }

  /** The first moments are low for every loss; the range is that of what comes after them. */
  accuracyRange() {
    let low = 1;
    let high = 0;
    const settled = (SETTLED * this.step) / this.data.run.steps_per_epoch;
    for (const { x, low: lowest, high: highest } of this.lines("test_accuracy")) {
      x.forEach((epoch, i) => {
        if (epoch < settled || lowest[i] == null) return;
        low = Math.min(low, lowest[i]);
        high = Math.max(high, highest[i]);
      });
    }
    if (low > high) return [0, 1];
    const room = Math.max(0.02, 0.12 * (high - low));
    return [Math.max(0, low - room), Math.min(1.005, high + room)];
  }

  /** The powers of ten around all that a metric has been so far. */
  logRange(metric) {
    const values = this.lines(metric).flatMap(({ low, high }) => [...low, ...high].filter((value) => value > 0));
    if (!values.length) return [-1, 0.5];
    const [low, high] = values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, 0]).map(Math.log10);
    const room = Math.max(0.05, 0.06 * (high - low));
    return [low - room, high + room];
  }

  /** All lines of the metrics whose names begin so. */
  lines(metric) {
    return [...this.series].filter(([key]) => key.startsWith(metric)).map(([, series]) => series.line(OVER.includes(this.run?.status)));
  }

  /** From where to where a loss's seeds reach at a place of its line, in words; nothing for a single seed. */
  span({ low, high }, place) {
    if (this.data.run.seeds === 1 || low.at(place) == null) return "";
    return fill(this.data.text.span, { low: digits(low.at(place)), high: digits(high.at(place)) });
  }

  /** Each line's name and value at its end, moved apart where they would hide each other. */
  placeLabels() {
    const ends = this.labels.map((label, i) => {
      const exact = this.line("test_accuracy", i);
      const sample = this.line("test_accuracy_sample", i);
      const line = sample.x.length ? sample : exact;
      const value = line.y.at(-1);
      label.hidden = value == null || this.root.clientWidth < NARROW;
      if (label.hidden) return null;
      const said = OVER.includes(this.run?.status) && exact.y.at(-1) != null ? exact : line;
      const [text, small] = label.children;
      text.textContent = `${said.y.at(-1).toFixed(4)} ${this.data.run.names[i]}`;
      small.textContent = this.span(said, -1);
      const [left, top] = this.pictures.accuracy.place(line.x.at(-1), value);
      return { label, left, top };
    });
    const shown = ends.filter(Boolean).sort((a, b) => a.top - b.top);
    const floor = this.cards.accuracy.frame.clientHeight - 50;
    const gap = this.data.run.seeds > 1 ? BAND_LABEL_GAP : LABEL_GAP;
    let above = -Infinity;
    for (const end of shown) {
      end.top = Math.max(end.top, above + gap, gap / 2);
      above = end.top;
    }
    let below = floor + gap;
    for (const end of shown.reverse()) {
      end.top = Math.min(end.top, below - gap);
      below = end.top;
      end.label.style.transform = `translate(${end.left + 8}px, ${end.top}px) translateY(-50%)`;
    }
  }

  progress() {
    const { run, data } = this;
    if (!this.ready || !run) return;
    const { text } = data;
    const over = OVER.includes(run.status);
    this.bar.value = run.status === "done" ? run.total_steps : this.step;
    this.stop.hidden = over || !data.mine;
    this.root.dataset.status = run.status;
    const where = [run.device, run.way].filter(Boolean).join(" · ");
    const steps = fill(text.steps, { step: this.step.toLocaleString(), total: run.total_steps.toLocaleString() });
    const parts = [text.statuses[run.status]];
    if (run.status === "queued") parts.push(text.waiting);
    if (run.status === "running" && this.step) parts.push(steps, fill(text.remaining, { time: this.remaining() }));
    if (over) parts.push(steps);
    if (run.status === "done" && run.finished) parts.push(fill(text.took, { time: duration(run.finished - run.started) }));
    if (where) parts.push(where);
    this.words.textContent = parts.join(" · ");
    this.say(this.offline ? this.status.textContent : (run.message ?? ""));
    if (over && !this.told) {
      this.told = true;
      this.summary.textContent = this.sentence();
      this.component.setTriggerValue("over", run.status);
    }
  }

  remaining() {
    const elapsed = this.run.elapsed + (performance.now() - this.arrived) / 1000;
    return duration((elapsed / this.step) * (this.run.total_steps - this.step));
  }

  sentence() {
    const { names } = this.data.run;
    return names
      .map((name, i) => {
        const { y, low, high } = this.line("test_accuracy", i);
        return fill(this.data.text.sentence, { name, accuracy: digits(y.at(-1)), low: digits(low.at(-1)), high: digits(high.at(-1)) });
      })
      .join(" ");
  }

  ask() {
    this.stop.disabled = true;
    this.words.textContent = this.data.text.stopping;
    this.component.setTriggerValue("stop", String(Date.now()));
  }

  fillTable() {
    if (!this.table.open) return;
    const { text, run } = this.data;
    const columns = run.names.flatMap((name, i) => [
      [`${name}: ${text.accuracyShort}`, this.line("test_accuracy", i)],
      [`${name}: ${text.testLossShort}`, this.line("test_loss", i)],
    ]);
    const length = Math.max(0, ...columns.map(([, line]) => line.x.length));
    const cell = (line, i) => [digits(line.y[i]), i < line.x.length ? this.span(line, i) : ""].filter(Boolean).join(", ");
    const row = (tag, cells) => h("tr", {}, ...cells.map((cell) => h(tag, {}, cell)));
    const body = Array.from({ length }, (_, i) => row("td", [String(i + 1), ...columns.map(([, line]) => cell(line, i))]));
    this.table.lastElementChild.replaceChildren(h("table", {}, h("thead", {}, row("th", [text.epoch, ...columns.map(([name]) => name)])), h("tbody", {}, ...body)));
  }

  connection(state) {
    this.offline = state !== "live";
    if (state === "missing") this.say(this.data.text.missing);
    else if (this.offline) this.say(fill(this.data.text.offline, { time: new Date().toLocaleTimeString() }));
    else this.say(this.run.message);
    this.root.classList.toggle("lv-offline", this.offline);
  }

  say(text) {
    if (this.status) this.status.textContent = text;
  }

  redress() {
    this.tokens = theme(this.root);
    for (const picture of Object.values(this.pictures)) {
      picture.tokens = this.tokens;
      picture.redraw();
    }
  }

  dispose() {
    this.link?.close();
    this.themes?.disconnect();
    clearTimeout(this.timer);
    for (const picture of Object.values(this.pictures ?? {})) picture.dispose();
    views.delete(this.root);
  }
}

/** A metric of one loss: a row for each step with the value of every seed. */
class Series {
  constructor(seeds) {
    Object.assign(this, { seeds, epochs: [], rows: [] });
  }

  add(epoch, seed, value) {
    if (this.epochs.at(-1) !== epoch) {
      this.epochs.push(epoch);
      this.rows.push(Array(this.seeds).fill(undefined));
    }
    this.rows.at(-1)[seed] = value;
    this.known = undefined;
  }

  /**
   * Mean, lowest and highest of the seeds that are still training. Seeds may arrive one after the other: the last step
   * counts once all of them are there, or nothing more can come.
   */
  line(over) {
    if (this.known?.over === over) return this.known;
    const whole = over || this.rows.at(-1)?.every((value) => value !== undefined);
    const count = this.rows.length - (whole ? 0 : 1);
    const rows = this.rows.slice(0, count).map((row) => row.filter((value) => value != null));
    const each = (of) => rows.map((row) => (row.length ? of(row) : null));
    const y = each((row) => row.reduce((sum, value) => sum + value, 0) / row.length);
    const [low, high] = this.seeds === 1 ? [y, y] : [each((row) => Math.min(...row)), each((row) => Math.max(...row))];
    this.known = { over, x: this.epochs.slice(0, count), y, low, high };
    return this.known;
  }
}

/** Along the highest and back along the lowest. */
function band({ x, low, high }) {
  return { x: [...x, ...[...x].reverse()], y: [...high, ...[...low].reverse()] };
}

function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const minutes = Math.floor(whole / 60);
  return minutes ? `${minutes} min ${String(whole % 60).padStart(2, "0")} s` : seconds < 10 ? `${Math.max(0, seconds).toFixed(1)} s` : `${whole} s`;
}
