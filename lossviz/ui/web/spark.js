// A small curve without axes: thumbnails, and what a counter-example shows.

const SVG = "http://www.w3.org/2000/svg";
const ROOM = 7;

function svg(tag, attributes, parent) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  parent.append(element);
  return element;
}

const tenth = (value) => Math.round(10 * value) / 10;

/** Drawn in its own units, so that the style sheet may stretch it. */
export class Spark {
  constructor(width, height) {
    Object.assign(this, { width, height });
    this.element = document.createElementNS(SVG, "svg");
    this.element.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.element.setAttribute("class", "lv-spark");
    this.element.setAttribute("aria-hidden", "true");
    this.path = svg("path", { class: "lv-spark-curve" }, this.element);
    this.line = svg("path", { class: "lv-spark-line" }, this.element);
    this.dot = svg("circle", { class: "lv-spark-dot", r: 4, visibility: "hidden" }, this.element);
  }

  /** Fix the ranges by the curve itself, leaving gaps where it is undefined. */
  draw(x, y) {
    const finite = Array.from(y).filter(Number.isFinite);
    this.x = [x[0], x.at(-1)];
    this.y = finite.length ? [Math.min(...finite), Math.max(...finite)] : [0, 1];
    if (this.y[1] - this.y[0] < 1e-9) this.y = [this.y[0] - 1, this.y[1] + 1];
    let pen = "M";
    let path = "";
    for (let i = 0; i < x.length; i += 1) {
      if (!Number.isFinite(y[i])) pen = "M";
      else {
        const [left, top] = this.place(x[i], y[i]);
        path += `${pen}${left} ${top}`;
        pen = "L";
      }
    }
    this.path.setAttribute("d", path);
  }

  place(x, y) {
    const share = (value, [low, high]) => (value - low) / (high - low);
    const left = ROOM + (this.width - 2 * ROOM) * share(x, this.x);
    return [tenth(left), tenth(this.height - ROOM - (this.height - 2 * ROOM) * share(y, this.y))];
  }

  /** A straight line between two points of the data: a chord or a tangent. */
  straight([x1, y1], [x2, y2]) {
    const [from, to] = [this.place(x1, y1), this.place(x2, y2)];
    this.line.setAttribute("d", `M${from[0]} ${from[1]}L${to[0]} ${to[1]}`);
  }

  point(x, y) {
    const shown = Number.isFinite(x) && Number.isFinite(y);
    this.dot.setAttribute("visibility", shown ? "visible" : "hidden");
    if (!shown) return;
    const [left, top] = this.place(x, y);
    this.dot.setAttribute("cx", left);
    this.dot.setAttribute("cy", top);
  }
}
