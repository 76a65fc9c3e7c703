// The map of a network: a picture of what each layer, and each of its channels, dreams.

import * as api from "./api.js";
import { $, dialog, h, problem } from "./dom.js";
import * as draft from "./draft.js";
import { unit } from "./terms.js";
import { thumbnail } from "./thumbs.js";

const COUNT = 48;
const SHALLOW = 1; // how deep inside of others the layers are that are shown at first
const read = new Map(); // network -> its layers, as soon as they are all known

const card = (label, url, work, name) =>
  h("button", { type: "button", class: "card", "aria-label": name, onclick: work }, thumbnail(url), h("span", {}, label));

/** The layers of a network whose map was opened; none of others, so that nothing is made that nobody asked for. */
export const known = async (model) => read.get(model) ?? [];

/** Consecutive layers of one numbered stage stand together. */
function stages(layers) {
  const found = [];
  for (const layer of layers) {
    const title = layer.name.match(/^[^./]+[./]\d+/)?.[0] ?? "";
    if (found.at(-1)?.title === title) found.at(-1).layers.push(layer);
    else found.push({ title, layers: [layer] });
  }
  return found;
}

/** Show the map in a dialog; `pick` gets the unit that is chosen, as an objective's text. */
export async function openMap({ pick, verb }) {
  const model = draft.value("model");
  const photo = draft.get().photo;
  const body = h("div", { class: "map" }, h("p", { class: "quiet" }, "The network is being read …"));
  const onPhoto = h("input", { type: "checkbox" });
  const every = h("input", { type: "checkbox", onchange: () => overview() });
  const search = h("input", { type: "search", "aria-label": "Find a layer", placeholder: "find a layer", oninput: () => overview() });
  const address = (each) => api.sketch(each.picture, onPhoto.checked ? photo.id : "");
  const box = dialog(`Inside ${model}`,
    h("div", { class: "row finder" }, search, h("label", { class: "check" }, every, "every part"), photo && h("label", { class: "check" }, onPhoto, "what each layer does to this photo")), body);
  const chosen = (what) => {
    pick(what);
    box.close();
  };
  let layers = [];
  let complete = false;
  let showing = () => overview();
  onPhoto.onchange = () => showing();

  function overview() {
    showing = overview;
    const text = search.value.trim().toLowerCase();
    const shown = (layer) => every.checked || layer.card || layer.depth <= SHALLOW;
    const wanted = layers.filter((layer) => (text ? layer.name.toLowerCase().includes(text) : shown(layer)));
    const one = (layer) =>
      h("li", { class: layer.card ? "unit known" : "unit" },
        card(layer.name, address(layer), () => chosen(unit(layer.name)), `${verb} ${layer.name}, ${layer.kind}`),
        layer.channels > 1 && h("button", { type: "button", class: "small", onclick: () => inside(layer), "aria-label": `The ${layer.channels} channels of ${layer.name}` }, `${layer.channels} channels`));
    body.replaceChildren(
      h("p", { class: "quiet" }, `From edges at first to whole things at last. Click what is to grow.${complete ? "" : " The rest of the network is being read …"}`),
      h("div", { class: "stages" }, stages(wanted).map(({ title, layers: some }) => h("section", {}, title && h("h3", {}, title), h("ul", {}, some.map(one))))),
      ...(wanted.length ? [] : [h("p", { class: "empty" }, "No layer has such a name")]),
    );
  }

  function inside(layer) {
    showing = () => inside(layer);
    const grid = h("ul", { class: "grid" });
    const more = h("button", { type: "button", onclick: () => load() }, "More channels");
    const load = async () => {
      const from = grid.children.length;
      more.disabled = true;
      try {
        const some = await api.channels(model, layer.name, from, Math.min(COUNT, layer.channels - from));
        grid.append(...some.map((each) => {
          const { channel } = each;
          return h("li", { class: "unit" }, card(String(channel), address(each), () => chosen(unit(layer.name, channel)), `${verb} channel ${channel} of ${layer.name}`));
        }));
        more.hidden = !some.length || grid.children.length >= layer.channels;
      } catch (error) {
        problem(error);
      }
      more.disabled = false;
    };
    const back = h("button", { type: "button", class: "small", onclick: overview }, "All layers");
    body.replaceChildren(h("p", { class: "row" }, back, h("span", {}, h("code", {}, layer.name), `, ${layer.channels} channels`)), grid, h("p", { class: "row" }, more));
    back.focus();
    load();
  }

  try {
    while (!complete && box.isConnected) {
      const before = layers.length;
      ({ complete, layers } = await api.layers(model));
      if (complete) read.set(model, layers);
      if (layers.length !== before || complete) showing();
      if (!complete) await new Promise((resolve) => setTimeout(resolve, 1500));
    }
  } catch (error) {
    body.replaceChildren(h("p", { class: "error" }, error.message));
  }
}

/** The network's name, and the way into it. */
export function begin({ models }) {
  const select = h("select", { "aria-labelledby": "network-title", onchange: () => draft.set({ model: select.value, objective: null }) }, models.map((model) => h("option", { value: model.name, disabled: model.ready === false }, model.ready === false ? `${model.name} (not on this machine)` : model.name)));
  const summary = h("p", { class: "quiet" });
  const walk = h("button", { type: "button", class: "wander", onclick: () => openMap({ pick: (what) => draft.set({ objective: what }), verb: "Dream of" }) }, "Wander through its layers");
  $("#network").append(h("div", { class: "fields" }, select, summary, walk));
  draft.listen(() => {
    const name = draft.value("model");
    if (![...select.options].some((option) => option.value === name)) select.append(h("option", { value: name }, name));
    select.value = name;
    summary.textContent = models.find((each) => each.name === name)?.summary ?? "";
  });
}
