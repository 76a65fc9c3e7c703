// One picture that is kept: its recipe, copies of it as text, downloads; and two of them compared.

import * as api from "./api.js";
import { copy, dialog, h, toast, trying } from "./dom.js";
import { restore } from "./photo.js";
import { attach, moreOf } from "./run.js";

const told = (value) => (value === null || value === undefined ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value));
const rows = (settings) => Object.entries(settings).filter(([, value]) => value !== "").map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name.replaceAll("_", " ")), h("td", {}, told(value))));
const button = (label, work) => h("button", { type: "button", onclick: trying(work) }, label);
const image = (job) => h("img", { src: api.sight(job, 1024), alt: `${job.name || "Dream"}, ${job.state}` });

function downloads(job) {
  const formats = !job.still ? ["mp4"] : ["png", "jpeg", "tiff"];
  const link = (format) => h("a", { class: "button", href: api.picture(job.id, { format }), download: api.fileName(job, format) }, format.toUpperCase());
  return h("p", { class: "row", role: "group", "aria-label": "Download" }, h("span", { class: "quiet" }, "Download"), formats.map(link));
}

/** `changed` is called when the picture is deleted. */
export async function openDetails(job, changed = () => undefined) {
  const table = h("tbody", {}, rows(job.settings));
  const recipeOf = () => (job.still && api.kept(job) ? api.recipe(job.id) : job.settings); // a film's says what its frames had
  const close = (work) => trying(async () => {
    await work();
    box.close();
  });
  const shown = !job.still && job.state !== "failed"
    ? h("video", { src: api.picture(job.id, { format: "mp4" }), controls: true, loop: true, "aria-label": "The film" }) : image(job);
  const box = dialog(job.name || "Dream",
    h("div", { class: "shown" }, shown,
      h("div", { class: "fields" },
        h("p", { class: "quiet" }, `${job.width} × ${job.height}, ${job.state}${job.seconds ? `, ${job.seconds.toFixed(1)} s` : ""}`),
        job.error && h("p", { class: "error" }, job.error.message ?? job.error),
        h("p", { class: "row" },
          h("button", { type: "button", class: "primary", onclick: close(() => attach(job)) }, "Show it large"),
          api.kept(job) && job.still && h("button", { type: "button", onclick: close(() => moreOf(job)) }, "More of this"),
          h("button", { type: "button", onclick: close(async () => (restore(await recipeOf()), toast("Its settings are restored"))) }, "Use its recipe")),
        api.kept(job) && downloads(job),
        h("p", { class: "row" },
          button("Copy as command line", async () => copy((await api.command(job.id)).command, "The command line")),
          button("Copy as Python", async () => copy((await api.command(job.id)).python, "The Python text")),
          h("button", { type: "button", onclick: close(async () => (await api.remove(job.id), changed(job))) }, "Delete")),
        h("table", {}, h("caption", { class: "hidden" }, "Recipe"), table))));
  const recipe = api.kept(job) ? await api.recipe(job.id).catch(() => null) : null;
  const settings = recipe?.dream ?? recipe?.settings;
  if (settings) table.replaceChildren(...rows(settings));
}

export async function openCompare(a, b) {
  const { same, differs } = await api.compare(a.id, b.id);
  const list = differs.map((each) => h("tr", {}, h("th", { scope: "row" }, each.name.replaceAll("_", " ")), h("td", {}, told(each.a)), h("td", {}, told(each.b))));
  dialog("What differs",
    h("div", { class: "pair" }, image(a), image(b)),
    h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "setting"), h("th", { scope: "col" }, "left"), h("th", { scope: "col" }, "right"))), h("tbody", {}, list)),
    h("p", { class: "quiet" }, list.length ? `${Object.keys(same).length} other settings are the same.` : "Nothing: these two have the same recipe."));
}
