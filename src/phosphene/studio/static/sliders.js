// The two big sliders, size, colours and seed.

import { $, h } from "./dom.js";
import * as draft from "./draft.js";
import { current } from "./run.js";

const SIZES = [["Quick", 512], ["Medium", 1024], ["Large", 2048], ["Full", 0]];

/** A slider whose middle is 1, and a number beside it for what lies beyond its ends. */
function big(name, label, low, high) {
  const limits = draft.field(name);
  const place = (value) => (100 * Math.log(Math.min(Math.max(value, low), high) / low)) / Math.log(high / low);
  const worth = (at) => Number((low * (high / low) ** (at / 100)).toPrecision(2));
  const range = h("input", { type: "range", id: name, min: 0, max: 100, step: 0.5, "aria-describedby": `${name}-help`, oninput: () => draft.set({ [name]: worth(range.value) }, name) });
  const number = h("input", { type: "number", "aria-label": `${label} as a number`, min: limits.minimum, max: limits.maximum, step: "any",
    onchange: () => number.value > 0 && draft.set({ [name]: Number(number.value) }) });
  draft.listen(() => {
    const value = draft.value(name);
    range.value = place(value);
    range.setAttribute("aria-valuetext", String(value));
    if (document.activeElement !== number) number.value = value;
  });
  return h("div", { class: "slider" }, h("label", { for: name }, label), number, range, h("p", { class: "hidden", id: `${name}-help` }, limits.help ?? ""));
}

function sizes() {
  const buttons = SIZES.map(([label, size]) =>
    [size, h("button", { type: "button", title: size ? `longer side ${size} px` : "as large as the photo is", onclick: () => draft.set({ max_size: size }) }, label)]);
  draft.listen(() => {
    for (const [size, button] of buttons) button.setAttribute("aria-pressed", String(draft.value("max_size") === size));
  });
  return h("fieldset", { class: "segments" }, h("legend", {}, "Size"), ...buttons.map(([, button]) => button));
}

function colors() {
  const box = h("input", { type: "checkbox", onchange: () => draft.set({ keep_color: box.checked }) });
  draft.listen(() => { box.checked = Boolean(draft.value("keep_color")); });
  return h("label", { class: "check" }, box, "Keep the photo's colours");
}

function seed() {
  const number = h("input", { type: "number", id: "seed", min: 0, max: 2 ** 32 - 1, step: 1, placeholder: "any",
    onchange: () => draft.set({ seed: number.value === "" ? null : Number(number.value) }) });
  const drawn = () => crypto.getRandomValues(new Uint32Array(1))[0];
  const dice = h("button", { type: "button", class: "icon", "aria-label": "Throw the dice for a seed", title: "A new seed", onclick: () => draft.set({ seed: drawn() }) }, "⚄");
  const lock = h("button", { type: "button", class: "icon wide", title: "The same seed gives the same picture",
    onclick: () => draft.set({ seed: draft.value("seed") === null ? current()?.settings?.seed ?? drawn() : null }) });
  draft.listen(() => {
    const value = draft.value("seed");
    number.value = value ?? "";
    lock.textContent = value === null ? "Lock" : "Locked";
    lock.setAttribute("aria-label", `${lock.textContent}: the seed`);
    lock.setAttribute("aria-pressed", String(value !== null));
  });
  return h("div", { class: "seed" }, h("label", { for: "seed", class: "label" }, "Seed"), number, dice, lock);
}

export function begin() {
  $("#sliders").append(big("strength", "Strength", 0.2, 5), big("scale", "Scale", 0.25, 4));
  $("#choices").append(sizes(), colors(), seed());
}
