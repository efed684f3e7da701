// A run as it learns: points arrive by socket, one line a loss, names at the lines' ends.

import { digits, fill, h, show } from "./dom.js";
import { card, swatch } from "./cards.js";
import { loadPlotly, Picture, theme, watchTheme } from "./plots.js";
import { address, Link } from "./socket.js";

const GONE_MS = 1500;
const DRAW_EVERY_MS = 90;
const LABEL_GAP = 17;
const SETTLED = 0.04;
const NARROW = 560;
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

/** Other losses or epochs need other pictures; a run that begins takes those that stood there empty. */
const shape = ({ names, total_steps }) => JSON.stringify([names, total_steps]);

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
    this.labels = run.names.map((_, i) => h("span", { class: "lv-end", style: `color:var(--lv-loss${i})` }));
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
        h("div", { class: "lv-row" }, ...outputs.map(([metric, label]) => h("label", { class: "lv-number" }, h("span", {}, label), h("output", { name: metric, "data-member": i, "data-value": "" }, "–")))),
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
      const key = `${metric}/${member}`;
      if (!this.series.has(key)) this.series.set(key, { x: [], y: [] });
      const line = this.series.get(key);
      line.x.push(step / this.data.run.steps_per_epoch);
      line.y.push(typeof value === "number" ? value : null);
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
    if (!this.ready || this.timer) return;
    const wait = Math.max(0, DRAW_EVERY_MS - (performance.now() - (this.drawnAt ?? 0)));
    this.timer = setTimeout(() => {
      this.drawnAt = performance.now();
      this.show();
      const shown = this.last;
      requestAnimationFrame(() => {
        this.timer = undefined;
        if (!this.root.isConnected) return;
        this.draw();
        if (this.last !== shown) this.drawSoon(); // points came in between: their numbers are not on screen yet
      });
    }, wait);
  }

  line(metric, member) {
    return this.series.get(`${metric}/${member}`) ?? { x: [], y: [] };
  }

  show() {
    for (const output of this.root.querySelectorAll("output[data-member]")) {
      const exact = this.line(output.name, output.dataset.member).y;
      const sample = this.line(`${output.name}_sample`, output.dataset.member).y;
      show(output, exact.at(-1) ?? sample.at(-1), this.last);
    }
    if (this.table.open) this.fillTable();
  }

  draw() {
    const count = this.data.run.names.length;
    for (let i = 0; i < count; i += 1) {
      this.pictures.accuracy.set(i, this.line("test_accuracy_sample", i));
      this.pictures.accuracy.set(count + i, this.line("test_accuracy", i));
      this.pictures.test_loss.set(i, this.line("test_loss_sample", i));
      this.pictures.test_loss.set(count + i, this.line("test_loss", i));
      this.pictures.train_loss.set(i, this.line("train_loss", i));
      this.pictures.grad_norm.set(i, this.line("grad_norm", i));
    }
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
    for (const [key, { x, y }] of this.series) {
      if (!key.startsWith("test_accuracy")) continue;
      y.forEach((value, i) => {
        if (x[i] < settled || value == null) return;
        low = Math.min(low, value);
        high = Math.max(high, value);
      });
    }
    if (low > high) return [0, 1];
    const room = Math.max(0.02, 0.12 * (high - low));
    return [Math.max(0, low - room), Math.min(1.005, high + room)];
  }

  /** The powers of ten around all that a metric has been so far. */
  logRange(metric) {
    const values = [...this.series].filter(([key]) => key.startsWith(metric)).flatMap(([, { y }]) => y.filter((value) => value > 0));
    if (!values.length) return [-1, 0.5];
    const [low, high] = values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, 0]).map(Math.log10);
    const room = Math.max(0.05, 0.06 * (high - low));
    return [low - room, high + room];
  }

  /** Each line's name and value at its end, moved apart where they would hide each other. */
  placeLabels() {
    const ends = this.labels.map((label, i) => {
      const line = this.series.get(`test_accuracy_sample/${i}`) ?? this.series.get(`test_accuracy/${i}`);
      const exact = this.series.get(`test_accuracy/${i}`);
      const value = line?.y.at(-1);
      label.hidden = value == null || this.root.clientWidth < NARROW;
      if (label.hidden) return null;
      const done = OVER.includes(this.run?.status) && exact;
      label.textContent = `${(done ? exact.y.at(-1) : value).toFixed(4)} ${this.data.run.names[i]}`;
      const [left, top] = this.pictures.accuracy.place(line.x.at(-1), value);
      return { label, left, top };
    });
    const shown = ends.filter(Boolean).sort((a, b) => a.top - b.top);
    const floor = this.cards.accuracy.frame.clientHeight - 50;
    let above = -Infinity;
    for (const end of shown) {
      end.top = Math.max(end.top, above + LABEL_GAP, 8);
      above = end.top;
    }
    let below = floor + LABEL_GAP;
    for (const end of shown.reverse()) {
      end.top = Math.min(end.top, below - LABEL_GAP);
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
    const where = [run.device].filter(Boolean).join(" · ");
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
      .map((name, i) => fill(this.data.text.sentence, { name, accuracy: digits(this.series.get(`test_accuracy/${i}`)?.y.at(-1)) }))
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
      [`${name}: ${text.accuracyShort}`, this.series.get(`test_accuracy/${i}`)],
      [`${name}: ${text.testLossShort}`, this.series.get(`test_loss/${i}`)],
    ]);
    const length = Math.max(0, ...columns.map(([, line]) => line?.x.length ?? 0));
    const row = (tag, cells) => h("tr", {}, ...cells.map((cell) => h(tag, {}, cell)));
    const body = Array.from({ length }, (_, i) => row("td", [String(i + 1), ...columns.map(([, line]) => digits(line?.y[i]))]));
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

function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const minutes = Math.floor(whole / 60);
  return minutes ? `${minutes} min ${String(whole % 60).padStart(2, "0")} s` : seconds < 10 ? `${Math.max(0, seconds).toFixed(1)} s` : `${whole} s`;
}
