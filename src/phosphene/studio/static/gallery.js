// The gallery: all that was made, newest first.

import * as api from "./api.js";
import { $, h, trying } from "./dom.js";
import { openCompare, openDetails } from "./details.js";
import { onEnd, onState } from "./run.js";

const COUNT = 24;
const list = $("#pictures");
const older = $("#older");
const compare = $("#compare");
const ticked = new Map();
let oldest = "";

function tick(job, on) {
  if (on) ticked.set(job.id, job);
  else ticked.delete(job.id);
  compare.disabled = ticked.size !== 2;
}

function title(job) {
  const what = { zoom: "a flight, ", video: "a film, ", visualize: "from noise, " }[job.kind] ?? "";
  return what + ([job.name, job.settings.objective].filter(Boolean).join(", ") || "dream");
}

function card(job) {
  const thumbnail = h("img", { src: api.sight(job, 384), alt: "", loading: "lazy", draggable: "false", width: 256, height: 192,
    onerror: () => thumbnail.replaceWith(h("i", { class: "blank" })) });
  const open = trying(async () => openDetails(await api.job(job.id), () => refresh()));
  const carry = (event) => event.dataTransfer.setData("text/uri-list", new URL(api.picture(job.id, { format: "png" }), location.href).href);
  return h("li", {},
    h("button", { type: "button", class: "card", onclick: open, draggable: "true", ondragstart: carry, "aria-label": `${title(job)}, ${job.state}` }, thumbnail, h("span", {}, title(job))),
    !job.still && h("i", { class: "reel", "aria-hidden": "true" }, "▶"),
    job.state !== "done" && h("span", { class: "state", "data-job": job.id }, job.state),
    h("label", { class: "tick" }, h("span", { class: "hidden" }, `Compare ${title(job)}`), h("input", { type: "checkbox", onchange: (event) => tick(job, event.target.checked) })));
}

const load = trying(async (before = "") => {
  const jobs = await api.jobs(before, COUNT);
  if (!before) {
    ticked.clear();
    tick({}, false);
    list.replaceChildren();
  }
  list.append(...jobs.map(card));
  older.hidden = jobs.length < COUNT;
  oldest = jobs.at(-1)?.created ?? "";
  if (!list.children.length) list.append(h("li", { class: "empty" }, "Your dreams will hang here."));
  return jobs;
});

export const refresh = () => load();

export function begin() {
  older.addEventListener("click", () => load(oldest));
  compare.addEventListener("click", trying(() => openCompare(...ticked.values())));
  onEnd(refresh);
  onState(({ id, state }) => {
    const label = $(`[data-job="${id}"]`, list);
    if (label) label.textContent = state;
  });
  return refresh();
}
