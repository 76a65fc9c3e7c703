// The job on the stage: begun, watched, held, gone on with, ended.

import * as api from "./api.js";
import { $, announce, h, toast, trying } from "./dom.js";
import * as draft from "./draft.js";
import { curve } from "./curve.js";
import { leave, watch } from "./live.js";
import * as stage from "./stage.js";

const bar = $("#run");
const film = $("#film");
const over = ["done", "failed", "cancelled"];
const listeners = new Set(); // told when a job begins or ends
const hearing = new Set(); // told when its state changes
const rounded = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
let job = null;
let loaded = ""; // the job whose finished picture is shown
let spoken = "";

export const current = () => job;
export const onEnd = (listener) => listeners.add(listener);
export const onState = (listener) => hearing.add(listener);
export const picture = (url) =>
  new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error("that picture can't be shown"));
    image.src = url;
  });

const button = (label, work, props = {}) => h("button", { type: "button", onclick: trying(work), ...props }, label);
const act = (action) => async () => update(await api.act(job.id, action));
const parts = {
  state: h("strong"), step: h("span", { class: "quiet" }), score: h("span", { class: "quiet" }),
  meter: h("progress", { max: 1, value: 0, "aria-label": "How far the dream is" }), error: h("p", { class: "error", role: "alert", hidden: true }),
  curve: curve(),
  pause: button("Pause", act("pause")), resume: button("Go on", act("resume"), { class: "primary" }),
  cancel: button("Cancel", act("cancel")), more: button("More of this", () => moreOf(job)),
  save: h("a", { class: "button", download: "" }, "Save PNG"), details: button("Recipe and more", () => bar.dispatchEvent(new CustomEvent("details"))),
};
bar.append(
  h("div", {}, h("p", { class: "words" }, parts.state, parts.step, parts.score), parts.meter),
  parts.curve.element, parts.error,
  h("p", { class: "row" }, parts.pause, parts.resume, parts.cancel, parts.more, parts.save, parts.details),
);

function words() {
  if (job.state === "queued") return job.place > 1 ? `number ${job.place} in the queue` : "soon";
  if (job.state === "running" && !job.octave) return "the network is waking up";
  if (!job.still && over.includes(job.state)) return job.frame ? `${job.frame} frames, ${job.width} × ${job.height}, ${job.seconds.toFixed(1)} s` : "";
  if (!job.still && job.frames) return `frame ${job.frame} of ${job.frames}, octave ${job.octave} of ${job.octaves}`;
  if (!job.steps || over.includes(job.state)) return job.seconds ? `${job.seconds.toFixed(1)} s, ${job.width} × ${job.height}` : "";
  return `octave ${job.octave} of ${job.octaves}, step ${job.step} of ${job.steps}`;
}

function told() {
  const each = 1 / Math.max(job.octaves ?? 1, 1);
  const picture = Math.max((job.octave ?? 1) - 1, 0) * each + ((job.step ?? 0) / Math.max(job.steps ?? 1, 1)) * each;
  const share = job.still ? picture : (Math.max(job.frame ?? 1, 1) - 1 + picture) / Math.max(job.frames ?? 1, 1);
  const ended = over.includes(job.state);
  bar.hidden = false;
  parts.state.textContent = { running: "Dreaming", queued: "Waiting" }[job.state] ?? job.state;
  parts.step.textContent = words();
  parts.score.textContent = Number.isFinite(job.score) && job.score ? `score ${rounded.format(job.score)}` : "";
  parts.meter.value = job.state === "done" ? 1 : Math.min(share, 1);
  parts.error.hidden = !job.error;
  parts.error.textContent = job.error?.message ?? job.error ?? "";
  parts.pause.hidden = !["running", "queued"].includes(job.state);
  parts.resume.hidden = job.state !== "paused";
  parts.cancel.hidden = ended;
  const { still } = job;
  parts.more.hidden = !still || !api.kept(job);
  parts.save.hidden = !api.kept(job);
  parts.save.textContent = still ? "Save PNG" : "Save film";
  parts.save.href = api.picture(job.id, { format: still ? "png" : "mp4" });
  parts.save.download = api.fileName(job, still ? "png" : "mp4");
  parts.details.hidden = !ended;
  const speech = ended || job.state === "paused" ? `The dream is ${job.state}` : `Octave ${job.octave || 1} of ${job.octaves || "?"}`;
  if (speech !== spoken) announce(speech);
  spoken = speech;
}

async function finish() {
  if (loaded === job.id) return;
  loaded = job.id;
  leave(job.id);
  for (const listener of listeners) listener(job);
  if (!api.kept(job)) return;
  if (!job.still) {
    film.src = api.picture(job.id, { format: "mp4" });
    film.hidden = false;
    return;
  }
  const mine = job.id;
  const after = await picture(api.picture(mine, { format: "png" })).catch(() => null);
  if (!after || job?.id !== mine) return;
  stage.show({ after, width: after.naturalWidth, height: after.naturalHeight });
  stage.describe(`The ${job.state === "done" ? "finished dream" : "dream so far"}, ${job.width} by ${job.height} pixels`);
}

/** Frames may come after the job's own news, and news after the end: only what is newer counts. */
function update(news) {
  if (!job || news.id !== job.id) return;
  if (over.includes(job.state) && !over.includes(news.state)) return;
  const before = job.state;
  job = { ...job, ...news };
  if (job.state !== before) hearing.forEach((listener) => listener(job));
  if (job.scores) parts.curve.draw(job.scores);
  told();
  if (over.includes(job.state)) finish();
}

function frame(header, bitmap) {
  if (!job || header.job !== job.id || loaded === job.id) return;
  stage.show({ after: bitmap, width: header.width, height: header.height });
  $("#welcome").hidden = true;
  $("#view").dataset.frames = Number($("#view").dataset.frames ?? 0) + 1;
  const scores = [...(job.scores ?? []), header.score].slice(-200);
  update({ id: job.id, ...header, scores: job.step === header.step && job.octave === header.octave ? job.scores : scores });
}

/** Leave the stage to something else. The job goes on, and its end is heard of. */
export function detach() {
  if (job && !over.includes(job.state)) {
    const { id } = job;
    const ended = (news) => over.includes(news.state) && (leave(id), listeners.forEach((listener) => listener(news)));
    watch(id, { frame: () => undefined, job: ended });
  }
  job = null;
  bar.hidden = true;
  film.hidden = true;
  film.removeAttribute("src");
}

/** Put a job on the stage, and watch it while it runs. */
export async function attach(next) {
  detach();
  [job, loaded, spoken] = [next, "", ""];
  $("#welcome").hidden = true;
  $("#view").dataset.job = job.id;
  $("#view").dataset.frames = 0;
  parts.curve.draw(job.scores ?? []);
  stage.show({ before: null, after: null });
  stage.split(0);
  stage.describe("The dream as it grows");
  told();
  if (over.includes(job.state)) finish();
  else watch(job.id, { frame, job: update });
  const source = job.photo || job.film ? api.uploadPicture(job.photo ?? job.film, 2048) : job.from && api.picture(job.from, { format: "png" });
  if (source) {
    const mine = job.id;
    const before = await picture(source).catch(() => null);
    if (job?.id !== mine) return;
    const [width, height] = stage.size();
    if (before) stage.show(job.octave && width ? { before } : { before, width: job.width || before.naturalWidth, height: job.height || before.naturalHeight });
  }
}

/** A new job that begins where another ended, as the draft says now. */
export const moreOf = ({ id, kind }) => begin({ from: id, kind });

/** The draft as a job. */
export async function begin(extra = {}) {
  const now = draft.get();
  const size = now.settings.max_size || 512;
  const { max_size, scale, ...asItIs } = now.settings; // more of a picture leaves it as large as it is
  const request = {
    kind: draft.kind(), settings: extra.from ? asItIs : now.settings,
    photo: extra.from ? null : now.photo?.id ?? null, mask: extra.kind === "visualize" ? null : now.mask?.id ?? null, guide: now.guide?.id ?? null,
    ...(now.photo || extra.from || now.film ? {} : { size }), ...(now.film ? { film: now.film.id, photo: null, mask: null, ...now.times } : {}), ...extra,
  };
  const made = await api.create(request);
  const full = made.state ? made : await api.job(made.id);
  await attach(full);
  for (const listener of listeners) listener(full);
  if (full.place > 1) toast(`It waits in the queue, as number ${full.place}`);
  return full;
}
