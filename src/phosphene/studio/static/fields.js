// "More": every setting that /api/about tells of, in its groups, with range and help.

import { $, h } from "./dom.js";
import * as draft from "./draft.js";

const ELSEWHERE = ["model", "objective", "strength", "scale", "seed", "keep_color", "guide", "mask"];
const label = (name) => name.replaceAll("_", " ");

function control(field) {
  const id = `field-${field.name}`;
  const set = (value) => draft.set({ [field.name]: value });
  const described = { id, "aria-describedby": `${id}-help` };
  if (field.type === "boolean") {
    const box = h("input", { type: "checkbox", ...described, onchange: () => set(box.checked) });
    return [box, (value) => { box.checked = value; }];
  }
  if (field.type === "choice") {
    const list = h("select", { ...described, onchange: () => set(list.value) }, field.choices.map((choice) => h("option", { value: choice }, choice)));
    return [list, (value) => { list.value = value; }];
  }
  const numeric = field.type !== "text";
  const box = h("input", {
    type: numeric ? "number" : "text", ...described, min: field.minimum, max: field.maximum, step: field.type === "integer" ? 1 : "any",
    onchange: () => {
      if (!box.reportValidity()) return;
      set(!numeric ? box.value : box.value === "" ? null : Number(box.value));
    },
  });
  return [box, (value) => { box.value = value ?? ""; }];
}

function ranged({ minimum, maximum }) {
  if (minimum === null || minimum === undefined) return "";
  return maximum === null || maximum === undefined ? ` (from ${minimum})` : ` (${minimum} to ${maximum})`;
}

function row(field) {
  const [input, write] = control(field);
  const title = h("label", { for: input.id }, label(field.name));
  const help = h("p", { class: "quiet", id: `${input.id}-help` }, `${field.help ?? ""}${ranged(field)}`);
  const element = h("div", { class: "field" }, ...(field.type === "boolean" ? [h("span", { class: "check" }, input, title)] : [title, input]), help);
  draft.listen(({ settings }) => {
    if (document.activeElement !== input || field.type !== "text") write(draft.value(field.name));
    element.classList.toggle("changed", field.name in settings);
  });
  return element;
}

export function begin({ fields }) {
  const shown = fields.filter((field) => !ELSEWHERE.includes(field.name));
  const groups = [...new Set(shown.map((field) => field.group))];
  $("#more > div").replaceChildren(
    ...groups.map((group) => h("section", { class: "fields", "aria-label": group }, h("h3", {}, group), ...shown.filter((field) => field.group === group).map(row))),
    h("p", { class: "row" }, h("button", { type: "button", onclick: () => draft.change({ settings: {} }) }, "All as they were")),
  );
}
