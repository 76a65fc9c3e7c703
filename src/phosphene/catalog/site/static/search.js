// Search over every unit: words choose layers, numbers choose channels; orders are made once and kept.
(() => {
  const orders = {};
  let all = null;

  function everything() {
    if (all) return all;
    const lines = [];
    for (const network of phosphene.known.index.networks)
      network.layers.forEach((layer, number) => lines.push({ network: network.id, number, layer, text: `${layer.name} ${layer.kind} ${network.label}`.toLowerCase() }));
    const total = lines.reduce((sum, line) => sum + phosphene.count(line.layer), 0);
    const line = new Uint16Array(total), place = new Uint32Array(total), channel = new Uint32Array(total);
    const values = { percentile: new Float32Array(total).fill(-Infinity), score: new Float32Array(total).fill(-Infinity) };
    let at = 0;
    lines.forEach((each, n) => {
      for (let i = 0, count = phosphene.count(each.layer); i < count; i++, at++) {
        line[at] = n; place[at] = i; channel[at] = phosphene.channel(each.layer, i);
        for (const name in values) values[name][at] = each.layer[name][i] ?? -Infinity;
      }
    });
    return all = { lines, line, place, channel, values, total };
  }

  function order(by) {
    const { total, values } = everything();
    if (!orders[by]) {
      const found = Uint32Array.from({ length: total }, (_, i) => i);
      orders[by] = by === "network" ? found : found.sort((a, b) => values[by][b] - values[by][a] || a - b);
    }
    return orders[by];
  }

  // `blocks.2:17`, `conv 4`, `40`: {words, numbers}; `blocks.*.1` as --layers has it
  function parsed(query) {
    const words = [], numbers = [];
    for (const part of query.toLowerCase().trim().split(/\s+/).filter(Boolean)) {
      const exact = /^(.*?):(\d+)$/.exec(part);
      if (exact) { if (exact[1]) words.push(exact[1]); numbers.push(+exact[2]); }
      else if (/^\d+$/.test(part)) numbers.push(+part);
      else words.push(part.replace(/:$/, ""));
    }
    return { words, numbers };
  }

  function globbed(word) {
    const shape = new RegExp(`(^| )${word.split("*").map(part => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&")).join("\\S*")}( |$)`);
    return text => shape.test(text);
  }

  phosphene.search = (query, { by = "network", only = "", least = 0 } = {}) => {
    const { lines, line, channel, values } = everything(), { words, numbers } = parsed(query);
    const tests = words.map(word => word.includes("*") ? globbed(word) : text => text.includes(word));
    const fits = lines.map(each => tests.every(test => test(each.text)) && (!only || only === `${each.network}-${each.number}`));
    const found = [];
    for (const i of order(by)) {
      if (!fits[line[i]] || numbers.length && !numbers.includes(channel[i])) continue;
      if (least && !(values.percentile[i] >= least)) continue;
      found.push(i);
    }
    return found;
  };
  phosphene.at = i => {
    const { lines, line, place, channel, values } = everything(), { network, number, layer } = lines[line[i]];
    return { network, number, layer, place: place[i], channel: channel[i], percentile: values.percentile[i] };
  };
  phosphene.total = () => everything().total;
})();
