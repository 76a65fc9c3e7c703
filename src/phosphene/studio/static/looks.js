// Presets as cards.

import { $, h } from "./dom.js";
import * as draft from "./draft.js";

const PICTURED = ["animals", "creatures", "puppies", "eyes", "buildings", "wildcats", "orchard", "scales", "ribbons", "glass", "glossy"];

/** A preset replaces the look, and leaves strength, size, colours and seed as they are. */
const KEPT = ["strength", "scale", "max_size", "keep_color", "seed", "device"];

export function begin({ presets, models }) {
  const ready = (preset) => models.find((model) => model.name === (preset.settings.model ?? draft.field("model").default))?.ready !== false;
  const card = (preset) =>
    h("button", {
      type: "button", class: "card", title: preset.summary, "aria-label": `${preset.name}: ${preset.summary}`, "aria-pressed": "false", disabled: !ready(preset),
      onclick: () => {
        const kept = Object.fromEntries(Object.entries(draft.get().settings).filter(([name]) => KEPT.includes(name)));
        draft.change({ settings: { ...kept, ...preset.settings } });
      },
    },
    PICTURED.includes(preset.name)
      ? h("img", { src: `/static/looks/${preset.name}.webp`, alt: "", width: 176, height: 132, loading: "lazy" })
      : h("i", { class: "blank" }),
    h("span", {}, preset.name));
  const rank = (preset) => (ready(preset) ? 2 : 0) + (PICTURED.includes(preset.name) ? 1 : 0);
  const sorted = [...presets].sort((a, b) => rank(b) - rank(a));
  const cards = sorted.map((preset) => [preset, card(preset)]);
  $("#looks").replaceChildren(...cards.map(([, element]) => element));
  draft.listen(({ settings }) => {
    for (const [preset, element] of cards) {
      const names = new Set([...Object.keys(draft.changed(preset.settings)), ...Object.keys(settings)]);
      const same = [...names].every((name) => KEPT.includes(name) || draft.value(name) === (preset.settings[name] ?? draft.byDefault(name)));
      element.setAttribute("aria-pressed", String(same));
    }
  });
}
