// The photo: chosen, dropped, pasted, or none at all; and the recipe that a picture may bring along.

import * as api from "./api.js";
import { $, announce, h, toast, trying } from "./dom.js";
import * as draft from "./draft.js";
import { startMask } from "./mask.js";
import { detach, picture } from "./run.js";
import * as stage from "./stage.js";

const chooser = $("#file");
let wanted = (file) => file;

export function choose(then) {
  wanted = then;
  chooser.value = "";
  chooser.click();
}
chooser.addEventListener("change", () => chooser.files[0] && wanted(chooser.files[0]));

/** A recipe's settings, whichever way it was written down; its seed comes with it. */
export function restore(recipe) {
  const settings = recipe.dream ?? recipe.settings ?? recipe;
  const { guide, mask, ...others } = settings; // they name files that aren't here: what is here takes their place
  const now = draft.get();
  draft.change({ settings: others, guide: guide ? now.guide : null, mask: mask ? now.mask : null });
}

export const take = trying(async (file) => {
  announce("The photo is being read");
  const photo = await api.upload(file, file.name ?? "pasted picture");
  if (photo.kind === "film") return draft.change({ film: photo, photo: null, noise: false, mask: null, times: {} });
  if (!photo.recipe) return use(photo);
  restore(photo.recipe);
  if (draft.get().photo || draft.get().noise) toast("Its recipe is restored", ["Dream on this picture itself", () => use(photo)]);
  else {
    use(photo);
    toast("Its recipe is restored");
  }
  return undefined;
});

const use = (photo) => draft.change({ photo, film: null, noise: false, mask: null }); // it is shown by who listens

async function preview(photo) {
  const before = await picture(api.uploadPicture(photo.id, 2048));
  detach();
  $("#welcome").hidden = true;
  stage.show({ before, after: null, width: photo.width, height: photo.height });
  stage.describe(`Your ${photo.kind === "film" ? "film" : "photo"} ${photo.name}, ${photo.width} by ${photo.height} pixels`);
  announce(`The ${photo.kind === "film" ? "film" : "photo"} is here; press Dream`);
}

/** What a dream from noise begins with, more or less. */
function grain() {
  detach();
  $("#welcome").hidden = true;
  const noise = new ImageData(128, 128);
  noise.data.forEach((_, at, data) => { data[at] = at % 4 === 3 ? 255 : 128 + 24 * (Math.random() + Math.random() + Math.random() - 1.5); });
  const sheet = Object.assign(document.createElement("canvas"), { width: noise.width, height: noise.height });
  sheet.getContext("2d").putImageData(noise, 0, 0);
  const side = draft.value("max_size") || 512;
  stage.show({ before: sheet, after: null, width: side, height: side });
  stage.describe("Noise: the dream grows out of it");
}

const ways = {
  choose: () => choose(take),
  example: trying(async () => take(new File([await (await fetch("/static/example.jpg")).blob()], "example.jpg", { type: "image/jpeg" }))),
  noise() {
    draft.change({ photo: null, film: null, noise: true, mask: null });
    toast("From noise: press Dream, and it grows out of nothing");
    $("#dream").focus();
  },
};

const way = (name, label) => h("button", { type: "button", class: "small", onclick: ways[name] }, label);

function show({ photo: still, film, mask, noise }) {
  const photo = still ?? film;
  const size = (one) => `${one.width} × ${one.height}${one.kind === "film" ? `, ${one.frames} frames, ${one.seconds.toFixed(1)} s` : ""}`;
  const rows = photo
    ? [h("div", { class: "picked" }, h("img", { src: api.uploadPicture(photo.id, 168), alt: "" }),
        h("div", {}, h("p", { class: "name" }, photo.name || "photo"), h("p", { class: "quiet" }, size(photo))))]
    : [h("p", { class: "quiet" }, noise ? "Starting from noise" : "Drop, paste or choose a photo or a film")];
  rows.push(h("div", { class: "row small-row" }, way("choose", photo ? "Another" : "Choose"), way(noise || photo ? "noise" : "example", noise || photo ? "From noise" : "Example"),
    still && h("button", { type: "button", class: "small", id: "paint", "aria-pressed": String(Boolean(mask)), onclick: () => startMask(still) }, mask ? "Mask painted" : "Paint a mask")));
  $("#photo").replaceChildren(...rows);
}

export function begin() {
  let shown = {};
  draft.listen((now) => {
    if (now.photo !== shown.photo || now.film !== shown.film || now.mask !== shown.mask || now.noise !== shown.noise) show(now);
    const fresh = (name) => now[name] && now[name] !== shown[name] && shown[name] !== undefined;
    if (now.noise && !shown.noise) grain();
    if (fresh("photo") || fresh("film")) trying(preview)(now.photo ?? now.film);
    shown = now;
  });
  for (const each of document.querySelectorAll("[data-photo]")) each.addEventListener("click", ways[each.dataset.photo]);
  const view = $("#view");
  addEventListener("dragover", (event) => {
    event.preventDefault();
    view.classList.add("over");
  });
  addEventListener("dragleave", (event) => event.relatedTarget || view.classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    view.classList.remove("over");
    dropped(event.dataTransfer);
  });
  addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find((each) => /^(image|video)\//.test(each.type));
    if (file) take(file);
  });
}

/** A file, or a picture of the gallery, which is dragged as its address. */
const dropped = trying(async (data) => {
  if (data.files[0]) return take(data.files[0]);
  const address = data.getData("text/uri-list");
  const id = address && new URL(address, location.href).pathname.match(/^\/api\/jobs\/([^/]+)\/picture$/)?.[1];
  if (!id) return toast("Drop a picture's file here");
  const png = await (await fetch(api.picture(id, { format: "png" }))).blob();
  return take(new File([png], "dream.png", { type: "image/png" }));
});
