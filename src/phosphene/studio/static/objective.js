// What is to grow: units clicked together with weights, a class, words, a guide picture.

import * as api from "./api.js";
import { $, h, toast, trying } from "./dom.js";
import * as draft from "./draft.js";
import { known, openMap } from "./map.js";
import { choose } from "./photo.js";
import * as terms from "./terms.js";
import { thumbnail } from "./thumbs.js";

const list = h("ul", { class: "terms", "aria-label": "Parts of the objective" });
const now = () => terms.parse(draft.value("objective") ?? "");
const write = (next) => draft.set({ objective: terms.text(next) });
export const add = (what) => write([...now(), { weight: 1, what }]);

async function pictured(image, what) {
  const place = terms.place(what);
  if (!place) return;
  const layers = await known(draft.value("model")).catch(() => []);
  const url = layers.find((layer) => layer.name === place.layer)?.picture;
  if (url) image.replaceWith(thumbnail(url));
}

function row(term, at, all) {
  const weight = h("input", { type: "number", step: "any", value: term.weight, "aria-label": `Weight of ${term.what}`,
    onchange: () => weight.value !== "" && write(all.with(at, { ...term, weight: Number(weight.value) })) });
  const blank = h("i", { class: "blank" });
  pictured(blank, term.what);
  return h("li", { class: "term" }, blank, h("code", {}, term.what), weight,
    h("button", { type: "button", class: "icon", "aria-label": `Remove ${term.what}`, onclick: () => write(all.toSpliced(at, 1)) }, "×"));
}

function adder(label, placeholder, make, props = {}) {
  const box = h("input", { type: "text", "aria-label": label, placeholder, ...props, onkeydown: (event) => event.key === "Enter" && (event.preventDefault(), enter()) });
  const enter = () => {
    if (!box.value.trim()) return box.focus();
    add(make(box.value));
    box.value = "";
    return undefined;
  };
  return h("div", { class: "adders" }, box, h("button", { type: "button", class: "small", onclick: enter, "aria-label": `${label}: add` }, "Add"));
}

function guide() {
  const button = h("button", { type: "button", class: "small", onclick: () => choose(trying(async (file) => {
    const picked = await api.upload(file, file.name);
    const { settings } = draft.get();
    const place = settings.objective && now().length === 1 && now()[0].weight === 1 && terms.place(now()[0].what);
    const fits = place && place.channel === null; // a guide is compared at one layer: that one, or the network's own for it
    draft.change({ guide: picked, settings: { ...settings, objective: fits ? settings.objective : null } });
    toast("The dream will be drawn to that picture");
  })) }, "Guide picture");
  const drop = h("button", { type: "button", class: "small", onclick: () => draft.change({ guide: null }) }, "Without guide");
  const image = h("img", { alt: "The guide picture", width: 44, height: 44, hidden: true });
  draft.listen(({ guide: picked }) => {
    drop.hidden = image.hidden = !picked;
    if (picked) image.src = api.uploadPicture(picked.id, 128);
  });
  return h("div", { class: "row" }, button, image, drop);
}

export function begin() {
  const names = h("datalist", { id: "classes" });
  let asked = 0;
  const suggesting = { list: "classes", oninput: trying(async ({ target }) => {
    const mine = (asked += 1);
    let known = target.value.trim().length < 2;
    if (known) names.replaceChildren();
    while (!known) {
      const { complete, classes } = await api.classes(draft.value("model"), target.value);
      if (mine !== asked) return;
      names.replaceChildren(...classes.map((one) => h("option", { value: one.name.split(",")[0] })));
      known = complete;
      if (!known) await new Promise((resolve) => setTimeout(resolve, 1000)); // the network is being read
    }
  }) };
  const source = h("textarea", { rows: 2, spellcheck: "false", "aria-label": "The objective as text", onchange: () => draft.set({ objective: source.value.trim() }) });
  $("#objective").append(
    list,
    h("div", { class: "row" }, h("button", { type: "button", class: "small", onclick: () => openMap({ pick: add, verb: "Add" }) }, "Add from the network")),
    h("div", {}, adder("A class", "a class: tabby, volcano …", terms.classOf, suggesting), adder("Words", "words, for CLIP: a coral cathedral", terms.words), names),
    guide(),
    h("details", {}, h("summary", { class: "quiet" }, "As text"), source),
  );
  let shown = null;
  draft.listen(() => {
    const text = draft.value("objective") ?? "";
    const key = `${draft.value("model")} ${text}`;
    if (key === shown) return;
    shown = key;
    source.value = text;
    list.replaceChildren(...(text ? now().map(row) : [h("li", { class: "quiet" }, "The network's own choice")]));
  });
}
