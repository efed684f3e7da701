// The map of one loss: a contour that handles lie on, or behind a tab the same in 3-D.

import { card } from "./cards.js";
import { fill, h } from "./dom.js";
import { Picture, rows } from "./plots.js";

const PAUSE_MS = 160;
const TABS = ["contour", "surface"];

/**
 * `key(handles, params)` names what the map depends on beside its loss; views are asked for only when that changes.
 * Its card is `element`, handles go into `overlay`.
 */
export class LossMap {
  constructor({ Plotly, stage, className, contour, surface, grid, key, views }) {
    Object.assign(this, { stage, key, views });
    const { text } = stage.data;
    this.tabs = TABS.map((name) => h("button", { type: "button", role: "tab", class: "lv-tab", "data-tab": name, onclick: () => this.show(name) }, text[name]));
    Object.assign(this, card(`${className} lv-map`, "", h("span", { class: "lv-tabs", role: "tablist" }, ...this.tabs)));
    this.title = this.element.querySelector("figcaption span");
    this.solid = h("div", { class: "lv-plot lv-solid", hidden: true });
    this.frame.append(this.solid);
    this.contour = new Picture(Plotly, this.plot, contour);
    this.surface = new Picture(Plotly, this.solid, surface);
    this.pictures = [this.contour, this.surface];
    for (const picture of this.pictures) picture.set(0, grid);
  }

  show(tab) {
    this.stage.tab = tab;
    this.stale = true;
    this.stage.sync();
    this.stage.report();
  }

  sync() {
    const { data, tab, focus } = this.stage;
    const solid = tab === "surface";
    this.solid.hidden = !solid;
    this.overlay.hidden = solid;
    this.plot.classList.toggle("lv-away", solid);
    for (const button of this.tabs) button.setAttribute("aria-selected", String(button.dataset.tab === tab));
    const loss = data.losses.find((entry) => entry.key === focus);
    this.title.textContent = loss ? fill(data.text.map, { name: loss.name }) : "";
  }

  state(handles, params) {
    const { focus } = this.stage;
    return JSON.stringify([focus, params[focus], this.key(handles)]);
  }

  wanted() {
    const { handles, params, focus } = this.stage;
    return this.state(handles, params) === this.drawn ? [] : this.views.map((view) => `${view}:${focus}`);
  }

  /** Draw the frame's map if it brings one; either way what is on screen now belongs to this frame. */
  draw(frame) {
    const array = frame.arrays[`surface:${this.stage.focus}`];
    if (array) {
      const z = rows(array);
      this.contour.set(0, { z });
      this.surface.set(0, { z });
      this.contour.draw(frame.seq);
      this.drawn = this.state(frame.handles, frame.params);
      this.stale = true;
    }
    this.plot.dataset.seq = frame.seq;
    if (this.stage.tab !== "surface") return;
    clearTimeout(this.timer);
    // WebGL is slow where it is emulated: the surface is drawn when the finger pauses.
    this.timer = setTimeout(() => {
      if (this.stale) this.surface.draw(frame.seq);
      this.solid.dataset.seq = frame.seq;
      this.stale = false;
    }, PAUSE_MS);
  }

  dispose() {
    clearTimeout(this.timer);
  }
}
