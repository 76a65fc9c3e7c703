// The studio's page: ask what there is, set up its parts, listen to the keyboard.

import * as api from "./api.js";
import { $, problem, trying } from "./dom.js";
import * as draft from "./draft.js";
import * as fields from "./fields.js";
import * as film from "./film.js";
import * as gallery from "./gallery.js";
import { openDetails } from "./details.js";
import * as looks from "./looks.js";
import * as map from "./map.js";
import * as objective from "./objective.js";
import * as photo from "./photo.js";
import * as run from "./run.js";
import * as sliders from "./sliders.js";

const FIRST = { max_size: 512 }; // the first dream should be there soon
const unfinished = ["queued", "running", "paused"];

const dream = trying(async () => {
  const button = $("#dream");
  button.disabled = true;
  try {
    await run.begin();
    if (matchMedia("(max-width: 960px)").matches) $("#stage").scrollIntoView();
  } finally {
    button.disabled = false;
  }
});

function keys(event) {
  const typing = event.target.matches("input:not([type=range], [type=checkbox]), textarea, select");
  if (!(event.ctrlKey || event.metaKey)) return;
  if (event.key === "Enter") {
    event.preventDefault();
    dream();
  } else if (!typing && event.key.toLowerCase() === "z") {
    event.preventDefault();
    if (event.shiftKey) draft.redo();
    else draft.undo();
  }
}

async function begin() {
  if (location.search) history.replaceState(null, "", location.pathname); // the token is in a cookie now
  const about = await api.about();
  $("#device").textContent = `${about.version}, ${about.device}`;
  draft.begin(about, FIRST);
  photo.begin();
  looks.begin(about);
  sliders.begin();
  map.begin(about);
  objective.begin();
  film.begin(about);
  fields.begin(about);
  $("#undo").addEventListener("click", draft.undo);
  $("#redo").addEventListener("click", draft.redo);
  draft.listen(() => {
    $("#undo").disabled = !draft.canUndo();
    $("#redo").disabled = !draft.canRedo();
  });
  $("#make").addEventListener("submit", (event) => {
    event.preventDefault();
    dream();
  });
  $("#run").addEventListener("details", () => openDetails(run.current(), gallery.refresh));
  addEventListener("keydown", keys);
  await draft.recall(api.there);
  const jobs = await gallery.begin();
  const going = jobs?.find((job) => unfinished.includes(job.state));
  if (going) await run.attach(going);
  document.documentElement.dataset.ready = "true";
}

begin().catch(problem);
