// The studio's HTTP interface, as functions; what goes wrong is a Problem with one line for people.

export class Problem extends Error {
  constructor(code, message, status) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

async function call(method, path, body, type = "application/json") {
  let answer;
  try {
    answer = await fetch(path, { method, body, headers: body === undefined ? {} : { "Content-Type": type } });
  } catch {
    throw new Problem("E_OFFLINE", "the studio doesn't answer; is it still running?", 0);
  }
  const text = await answer.text();
  const data = text && answer.headers.get("Content-Type")?.includes("json") ? JSON.parse(text) : text;
  if (!answer.ok) throw new Problem(data?.code ?? "", data?.message ?? `the studio answered ${answer.status}`, answer.status);
  return data;
}

const part = encodeURIComponent;
const post = (path, value) => call("POST", path, JSON.stringify(value));
const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value)).toString();

export const about = () => call("GET", "/api/about");
export const upload = (blob, name = "") =>
  call("POST", `/api/uploads?${query({ name })}`, blob, blob.type || "application/octet-stream");
export const uploadPicture = (id, size = 1024) => `/api/uploads/${part(id)}/picture?size=${size}`;

export const create = (job) => post("/api/jobs", job);
export const job = (id) => call("GET", `/api/jobs/${part(id)}`);
export const act = (id, action) => post(`/api/jobs/${part(id)}/${action}`, {});
export const remove = (id) => call("DELETE", `/api/jobs/${part(id)}`);
export const recipe = (id) => call("GET", `/api/jobs/${part(id)}/recipe`);
export const command = (id) => call("GET", `/api/jobs/${part(id)}/command`);
export const compare = (a, b) => call("GET", `/api/compare?${query({ a, b })}`);
export const jobs = (before = "", limit = 24) => call("GET", `/api/jobs?${query({ before, limit })}`);
/** Whether an upload is still there. */
export const there = async (id) => (await fetch(uploadPicture(id, 16))).ok;
/** Whether there is a picture, or a film, of it: one that was cancelled is kept as far as it came. */
export const kept = ({ state, still, octave, frame }) => state === "done" || (state === "cancelled" && Boolean(still ? octave : frame));
/** What a picture or film is saved as: copied commands call it so too. */
export const fileName = ({ name }, format) => `${(name || "noise").replace(/\.[^.]*$/, "").replaceAll("/", "-")}-dream.${format}`;
export const picture = (id, values = {}) => `/api/jobs/${part(id)}/picture?${query(values)}`;

/** What there is to see of a job: its picture; before there is one, its photo. */
export function sight(each, size) {
  const begun = kept(each) || (each.octave && !["failed", "cancelled"].includes(each.state));
  if (begun) return picture(each.id, { format: each.still ? "webp" : "jpeg", size, of: each.state });
  return each.photo || each.film ? uploadPicture(each.photo ?? each.film, size) : "/static/icon.svg";
}

const model = (name) => `/api/models/${part(name)}/layers`;
export const layers = (name) => call("GET", model(name));
export const channels = async (name, layer, from, count) =>
  (await call("GET", `${model(name)}/${part(layer)}/channels?from=${from}&count=${count}`)).channels;
export const classes = (name, search) => call("GET", `/api/models/${part(name)}/classes?${query({ search })}`);
/** The address of a unit's picture: what it dreams, or does to a photo. */
export const sketch = (address, photo = "") => (photo ? `${address}?${query({ photo })}` : address);
