// An objective's text as a list of weighed terms, and back: the grammar is that of docs/objectives.md.

/** Split at " + " and " - " that stand outside of quotes and brackets. */
function pieces(text) {
  const found = [];
  let [depth, quoted, begun, sign] = [0, false, 0, 1];
  const cut = (end) => {
    const piece = text.slice(begun, end).trim();
    if (piece) found.push([sign, piece]);
  };
  for (let at = 0; at < text.length; at += 1) {
    const letter = text[at];
    if (letter === "\\" && quoted) at += 1;
    else if (letter === '"') quoted = !quoted;
    else if (!quoted && letter === "(") depth += 1;
    else if (!quoted && letter === ")") depth -= 1;
    else if (!quoted && !depth && /^ [+-] /.test(text.slice(at, at + 3))) {
      cut(at);
      sign = text[at + 1] === "-" ? -1 : 1;
      begun = at + 3;
      at += 2;
    }
  }
  cut(text.length);
  return found;
}

/** [{weight, what}] of "2*a - 0.5*b"; a batch, or what else isn't a plain sum, stays one term. */
export function parse(text) {
  if (!text.trim()) return [];
  if (/(^|[^"])\|/.test(text)) return [{ weight: 1, what: text.trim() }];
  return pieces(text.trim()).map(([sign, piece]) => {
    let weight = sign;
    let what = piece;
    if (/^-[^\d]/.test(what)) [weight, what] = [-weight, what.slice(1).trim()];
    const found = what.match(/^(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)\s*\*\s*(.+)$/i);
    if (found) [weight, what] = [weight * Number(found[1]), found[2]];
    return { weight, what };
  });
}

export function text(terms) {
  return terms.map(({ weight, what }, at) => {
    const size = Math.abs(weight);
    const sign = at ? (weight < 0 ? " - " : " + ") : weight < 0 ? "-" : "";
    return `${sign}${size === 1 ? "" : `${size}*`}${what}`;
  }).join("");
}

const plain = /^[\w./#-]+$/;
export const quoted = (name) => (plain.test(name) ? name : `"${name.replace(/[\\"]/g, "\\$&")}"`);
export const unit = (layer, channel = null) => (channel === null ? quoted(layer) : `${quoted(layer)}:${channel}`);
export const classOf = (name) => `class:${name.trim()}`;
export const words = (prompt) => `text:"${prompt.trim().replace(/[\\"]/g, "\\$&")}"`;

/** The layer and channel that a term names, for its picture. */
export function place(what) {
  const found = what.match(/^(?:"([^"]+)"|([\w./#-]+))(?::(\d+))?(?:@.*)?$/);
  if (!found || /^(class|text)$/.test(found[2] ?? "")) return null;
  return { layer: found[1] ?? found[2], channel: found[3] === undefined ? null : Number(found[3]) };
}
