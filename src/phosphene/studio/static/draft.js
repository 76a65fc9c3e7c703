// The draft: what the next dream is to be. Every change is kept, so that it can be undone.

const past = [];
const future = [];
const listeners = new Set();
let last = { name: "", time: 0 };
let fields = {}; // name -> field, as /api/about tells
let usual = {}; // kind of job -> the defaults that differ from a dream's
let own = new Map(); // network -> the objective that it has where nothing is said
let draft = { photo: null, film: null, noise: false, guide: null, mask: null, settings: {} };
const KEPT = "phosphene draft";

export const get = () => draft;
export const field = (name) => fields[name] ?? {};
export const kind = () => (draft.film ? "video" : draft.noise && !draft.photo ? "visualize" : "dream");

/** Of a guide the studio knows the network's own layer; "" leaves that to it. */
export function byDefault(name, settings = draft.settings) {
  if (name !== "objective") return usual[kind()]?.[name] ?? fields[name]?.default ?? null;
  return draft.guide ? "" : own.get(settings.model ?? fields.model?.default) ?? "";
}

export const value = (name) => draft.settings[name] ?? byDefault(name);
export const listen = (listener) => (listeners.add(listener), listener(draft));
export const canUndo = () => past.length > 0;
export const canRedo = () => future.length > 0;

function tell() {
  localStorage.setItem(KEPT, JSON.stringify(draft));
  for (const listener of listeners) listener(draft);
}

export function begin({ fields: list, models, visualize }, first) {
  usual = { visualize };
  own = new Map(models.map(({ name, objective }) => [name, objective]));
  fields = { model: { default: models[0].name }, objective: {}, ...Object.fromEntries(list.map((each) => [each.name, each])) };
  draft = { ...draft, settings: changed(first) };
}

/** What was wanted before the page was loaded anew, as far as it is still there. */
export async function recall(there) {
  let before = null;
  try {
    before = JSON.parse(localStorage.getItem(KEPT));
  } catch {
    // whatever it is, it isn't ours
  }
  if (before?.settings) {
    const names = ["photo", "film", "guide", "mask"].filter((name) => before[name]?.id);
    const found = await Promise.all(names.map(async (name) => [name, (await there(before[name].id)) ? before[name] : null]));
    const lost = { photo: null, film: null, guide: null, mask: null, noise: Boolean(before.noise) };
    draft = { ...draft, ...lost, ...Object.fromEntries(found), settings: before.settings };
    draft.settings = changed(draft.settings);
  }
  tell();
}

/** Only what differs from the defaults: that is what is sent, and what is told. */
export function changed(settings) {
  const differs = ([name, value]) =>
    fields[name] && value !== null && value !== undefined && value !== byDefault(name, settings);
  return Object.fromEntries(Object.entries(settings).filter(differs));
}

/** One step of undo; with a name in `together`, one for all in quick succession, as a slider makes them. */
export function change(patch, together = "") {
  if (!together || together !== last.name || Date.now() - last.time > 800) past.push(draft);
  last = { name: together, time: Date.now() };
  future.length = 0;
  draft = { ...draft, ...patch };
  draft.settings = changed(draft.settings);
  tell();
}

export const set = (settings, together) => change({ settings: { ...draft.settings, ...settings } }, together);

function step(from, to) {
  if (!from.length) return;
  to.push(draft);
  draft = from.pop();
  last = { name: "", time: 0 };
  tell();
}

export const undo = () => step(past, future);
export const redo = () => step(future, past);
