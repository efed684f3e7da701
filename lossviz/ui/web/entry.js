// What the catalogue knows of a loss beside its picture: derivation, properties with evidence, other libraries, precision.

import { digits, fill, h } from "./dom.js";
import { formulaLines } from "./mathematics.js";
import { Spark } from "./spark.js";

const WIDTH = 220;
const HEIGHT = 92;

export class Entry {
  constructor(stage, below) {
    this.stage = stage;
    const { entry, losses, text } = stage.data;
    this.text = { ...text, ...entry.text };
    this.shown = {};
    const derivation = section(this.text.derivation, this.text.derivationHelp, ...formulaLines(losses[0], "steps", entry.derivation));
    derivation.classList.add("lv-derivation");
    below.append(derivation, this.properties(entry.properties), this.libraries(entry), this.precision(entry.precision), this.notes(losses[0]));
  }

  /** The counter-examples are computed once: they move with nothing. */
  wanted(key) {
    return [`derivation:${key}`, ...(this.witnessed ? [] : [`witness:${key}`])];
  }

  draw(frame, key) {
    const found = frame.witnesses[key];
    if (!found) return;
    this.witnessed = true;
    for (const [name, [kind, numbers]] of Object.entries(found)) {
      const place = this.shown[name];
      if (!place) continue;
      const values = Object.fromEntries(Object.entries(numbers).map(([part, value]) => [part, Number.isInteger(value) && value < 1000 ? value : digits(value)]));
      place.replaceChildren(h("p", { class: "lv-witness", "data-numbers": JSON.stringify(numbers) }, fill(this.text.witnesses[kind], values)));
      const segment = frame.arrays[`witness.${name}:${key}`];
      if (segment) place.append(chord(segment.values, this.text));
    }
  }

  properties(rows) {
    const marks = { true: ["lv-yes", this.text.yes], false: ["lv-no", this.text.no], null: ["lv-na", this.text.na] };
    const items = rows.map(({ name, label, meaning, holds, domain, evidence, constant }) => {
      const [mark, word] = marks[holds];
      const place = (this.shown[name] = h("div"));
      const where = domain ? h("span", { class: "lv-domain" }, domain) : null;
      return h(
        "li",
        { class: mark, "data-property": name },
        h("span", { class: "lv-mark" }, word),
        h("div", {}, h("b", { title: meaning }, label), constant ? h("span", { class: "lv-constant" }, ` ${constant}`) : null, " ", where, evidence ? h("p", {}, evidence) : null, place),
      );
    });
    return section(this.text.properties, this.text.propertiesHelp, h("ul", { class: "lv-properties" }, ...items));
  }

  libraries({ libraries, versions }) {
    if (!libraries.length) return section(this.text.libraries, this.text.noLibraries);
    const { text } = this;
    const kind = { same: ["lv-yes", text.same], explained: ["lv-part", text.explained], different: ["lv-no", text.different] };
    const body = libraries.map((row) => {
      const [mark, word] = kind[row.kind];
      return h(
        "tr",
        { class: mark },
        h("td", {}, row.library),
        h("td", {}, h("code", {}, row.call), row.params ? h("p", { class: "lv-fine" }, fill(text.oursAt, { params: row.params })) : null),
        h("td", { class: "lv-figure" }, digits(Number(row.ours))),
        h("td", { class: "lv-figure" }, digits(Number(row.theirs))),
        h("td", { class: "lv-figure" }, digits(Number(row.difference))),
        h("td", {}, h("span", { class: "lv-mark" }, word)),
        h("td", {}, row.reason, ...this.adjusted(row), h("p", { class: "lv-fine" }, row.gradient)),
      );
    });
    const head = [text.library, text.call, text.ours, text.theirs, text.off, text.verdict, text.why].map((word) => h("th", {}, word));
    const table = h("div", { class: "lv-wide-table" }, h("table", { class: "lv-libraries" }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...body)));
    const made = section(text.libraries, text.librariesHelp, table, h("p", { class: "lv-fine" }, versions));
    made.classList.add("lv-wide");
    return made;
  }

  /** What makes the two agree, where something does. */
  adjusted({ adjust, adjusts, adjusted }) {
    if (!adjust) return [];
    return [h("p", { class: "lv-fine" }, fill(this.text.adjusted[adjusts], { value: digits(Number(adjusted)) })), h("code", {}, adjust)];
  }

  precision({ head, rows, note }) {
    const table = h("table", {}, h("thead", {}, h("tr", {}, ...head.map((word) => h("th", {}, word)))), h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((cell) => h("td", {}, cell))))));
    return section(this.text.precision, note, h("div", { class: "lv-wide-table" }, table));
  }

  notes(loss) {
    return section(this.text.know, "", h("ul", {}, ...loss.pitfalls.map((pitfall) => h("li", {}, pitfall))), h("p", { class: "lv-fine" }, `${this.text.reference} ${loss.reference}`));
  }

  redress() {}

  dispose() {}
}

function section(title, help, ...children) {
  return h("section", { class: "lv-card lv-section" }, h("h3", {}, title), help ? h("p", { class: "lv-fine" }, help) : null, ...children);
}

/** "Not convex: this chord lies below the curve." Drawn from the chord, so that a flat bump on a steep slope is seen. */
function chord(values, text) {
  const spark = new Spark(WIDTH, HEIGHT);
  const x = Float64Array.from(values, (_, i) => i / (values.length - 1));
  const [first, last] = [values[0], values.at(-1)];
  const above = Float64Array.from(values, (value, i) => value - first - (last - first) * x[i]);
  spark.draw(x, above);
  spark.straight([0, 0], [1, 0]);
  spark.point(0.5, above[(above.length - 1) / 2]);
  return h("figure", { class: "lv-chord" }, spark.element, h("figcaption", {}, text.chord));
}
