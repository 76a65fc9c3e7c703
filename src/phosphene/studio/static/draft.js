// The draft: what the next dream is to be. Every change is kept, so that it can be undone.

const past = [];
const future = [];
const listeners = new Set();
let last = { name: "", time: 0 };
let fields = {}; // name -> field, as /api/about tells
let draft = { photo: null, noise: false, guide: null, mask: null, settings: {} };

export const get = () => draft;
export const field = (name) => fields[name] ?? {};
export const value = (name) => draft.settings[name] ?? fields[name]?.default ?? null;
export const listen = (listener) => (listeners.add(listener), listener(draft));
export const canUndo = () => past.length > 0;
export const canRedo = () => future.length > 0;

function tell() {
  for (const listener of listeners) listener(draft);
}

export function begin({ fields: list, models }, first) {
  const [own] = models;
  fields = { model: { default: own.name }, objective: { default: own.objective }, ...Object.fromEntries(list.map((each) => [each.name, each])) };
  draft = { ...draft, settings: changed(first) };
  tell();
}

/** Only what differs from the defaults: that is what is sent, and what is told. */
export function changed(settings) {
  const differs = ([name, value]) =>
    fields[name] && value !== null && value !== undefined && value !== fields[name].default;
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
