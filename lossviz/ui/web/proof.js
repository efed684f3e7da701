// The badge "by hand = autograd = finite difference", with the three numbers at the moment.

import { digits, fill, h, show } from "./dom.js";

const WAYS = ["hand", "autograd", "difference"];

export class Proof {
  constructor(text, detached) {
    Object.assign(this, { text, detached });
    this.outputs = WAYS.map((way) => h("output", { name: `proof.${way}`, "data-value": "" }, "–"));
    const rows = this.outputs.map((output, i) => h("label", { class: "lv-way" }, h("span", {}, text[WAYS[i]]), output));
    this.words = h("p", { class: "lv-verdict" });
    this.element = h("div", { class: "lv-proof" }, h("h4", {}, text.proof), ...rows, this.words);
  }

  /** A loss that is undefined here, or has no gradient of its own, has no proof. */
  draw(proof, seq) {
    this.element.dataset.verdict = proof?.verdict ?? "";
    WAYS.forEach((way, i) => show(this.outputs[i], proof?.[way], seq));
    if (proof && proof.hand == null) this.outputs[0].textContent = this.text.noHand;
    this.words.textContent = proof ? fill(this.text.verdicts[proof.verdict], { detached: this.detached, left: digits(proof.left), right: digits(proof.right) }) : "";
  }
}
