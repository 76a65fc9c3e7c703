// The pages: the network's map, a layer, a unit, what was found, networks side by side.
phosphene.views = {};
phosphene.missing = text => phosphene.el("section", { class: "page", "data-title": "Not here" }, phosphene.el("h1", {}, "Not here"), phosphene.el("p", { class: "quiet" }, text, " ", phosphene.el("a", { href: "#/" }, "To the map")));

(() => {
  const { el, figure, href, views } = phosphene;
  const many = (count, one) => `${count.toLocaleString("en")} ${one}${count === 1 ? "" : "s"}`;
  const FEW = 30; // pictures, with which a wall would be behind its words
  const several = () => phosphene.known.index.networks.length > 1;
  const shape = layer => [layer.kind, layer.size.length ? `${layer.size[0]} × ${layer.size[1]}` : "", many(phosphene.count(layer), "unit") + (layer.channels > phosphene.count(layer) ? ` of ${layer.channels}` : "")].filter(Boolean).join(" · ");

  function find(network, name) {
    const number = phosphene.network(network)?.layers.findIndex(layer => layer.name === name) ?? -1;
    if (number < 0) throw new Error(`There is no layer ${name} in this catalog.`);
    return number;
  }
  const trail = (...links) => el("nav", { class: "trail", "aria-label": "Where this is" }, el("a", { href: "#/" }, "Map"), ...links.map(each => [el("span", { "aria-hidden": "true" }, "/"), each]));

  // A last row that isn't full is left out.
  function inRows(wall) {
    new ResizeObserver(() => {
      const columns = getComputedStyle(wall).gridTemplateColumns.split(" ").length, { length } = wall.children;
      [...wall.children].forEach((each, i) => { each.hidden = length >= columns && i >= length - length % columns; });
    }).observe(wall);
    return wall;
  }

  views[""] = () => {
    const { networks, wall } = phosphene.known.index, total = phosphene.total();
    const page = el("div", { class: "page" },
      el("section", { class: wall.length < FEW ? "hero few" : "hero" },
        inRows(el("div", { class: "wall", "aria-hidden": "true" }, wall.map(([network, number, channel, sha, wide]) =>
          el("a", { href: href("unit", network, phosphene.layer(network, number).name, channel), tabindex: -1 }, phosphene.picture(sha, wide, { px: "160px", eager: true }))))),
        el("div", { class: "words" },
          el("h1", {}, networks.map(one => one.label).join(" and ")),
          el("p", {}, `${many(total, "unit")} in ${many(networks.reduce((sum, one) => sum + one.layers.length, 0), "layer")}: what each of them wants to see.`),
          several() ? el("p", {}, el("a", { class: "button", href: "#/compare" }, "Side by side")) : null)));
    for (const network of networks) {
      if (network.atlases?.length) page.append(el("p", { class: "row" }, el("span", { class: "quiet" }, several() ? `Atlases, ${network.label}` : "Atlases"), network.atlases.map(name => el("a", { class: "button", href: href("atlas", network.id, name) }, name))));
      page.append(el("h2", { class: "part" }, several() ? network.label : "Layers, first to last"));
      page.append(el("ol", { class: "map" }, network.layers.map((layer, number) => el("li", {},
        el("a", { class: "layer", href: href("layer", network.id, layer.name) },
          el("span", { class: "about" }, el("b", {}, layer.name), el("small", {}, shape(layer))),
          el("span", { class: "faces" }, layer.faces.map(([, sha, wide]) => phosphene.picture(sha, wide, { px: "84px", eager: number < 6 }))))))));
    }
    return page;
  };

  const lazyTile = (at, label) => {
    const note = isFinite(at.percentile) ? phosphene.rank(at.percentile).replace(" of crops", "") : "";
    const tile = phosphene.tile(at.network, at.number, at.channel, "", 0, { note, label });
    phosphene.load(`${at.network}-${at.number}`).then(({ faces, sizes }) => {
      if (faces[at.place]) tile.querySelector(".face").append(phosphene.picture(faces[at.place], sizes[at.place]));
    });
    return tile;
  };

  function ordering(orders, chosen, changed) {
    const select = el("select", { "aria-label": "Order", onchange: () => changed(select.value) }, orders.map(([value, text]) => el("option", { value, selected: value === chosen }, text)));
    return select;
  }
  const sorting = (chosen, changed) => ordering([["network", "In order"], ["percentile", "Clearest pictures first"], ["score", "Strongest first"]], chosen, changed);

  views.layer = (id, name) => {
    const network = +id, number = find(network, name), layer = phosphene.layer(network, number);
    const { layers } = phosphene.network(network), box = el("div", {});
    const fill = by => {
      const found = phosphene.search("", { by, only: `${network}-${number}` });
      box.replaceChildren(phosphene.grid(found.length, i => { const at = phosphene.at(found[i]); return lazyTile(at, `${at.channel}`); }));
    };
    fill("network");
    const to = (other, mark, text) => layers[other] ? el("a", { class: "button", href: href("layer", network, layers[other].name), [mark]: true }, text) : null;
    return el("section", { class: "page", "data-title": name },
      trail(...(several() ? [el("span", {}, phosphene.network(network).label)] : []), el("span", {}, name)),
      el("header", { class: "head" }, el("div", {}, el("h1", {}, name), el("p", { class: "quiet" }, shape(layer))),
        el("div", { class: "row" }, layer.score.length ? sorting("network", fill) : null, to(number - 1, "data-before", "← Before"), to(number + 1, "data-after", "After →"))),
      box);
  };

  const state = { by: "network", least: 0 };
  views.find = (...parts) => {
    const text = parts.join("/"), box = el("div", {}), told = el("p", { class: "quiet", role: "status" });
    const fill = () => {
      const found = phosphene.search(text, state);
      told.textContent = found.length ? many(found.length, "unit") : "Nothing. A layer's name, a kind such as conv, or a channel's number: blocks.2:17";
      box.replaceChildren(phosphene.grid(found.length, i => {
        const at = phosphene.at(found[i]), tile = lazyTile(at);
        if (several()) tile.querySelector(".caption").append(el("small", {}, phosphene.network(at.network).label));
        return tile;
      }, 24));
    };
    fill();
    const least = el("select", { "aria-label": "How clear", onchange: () => { state.least = +least.value; fill(); } },
      [[0, "All pictures"], [90, "Above 90 % of crops"], [99, "Above 99 % of crops"]].map(([value, label]) => el("option", { value, selected: value === state.least }, label)));
    return el("section", { class: "page", "data-title": text || "All units" },
      el("header", { class: "head" }, el("div", {}, el("h1", {}, text || "All units"), told), el("div", { class: "row" }, least, sorting(state.by, by => { state.by = by; fill(); }))), box);
  };

  const wide = (image, alt, px) => el("a", { href: phosphene.file(image[1]), target: "_blank" }, phosphene.picture(image[1], image[2], { height: image[3], alt, px }));
  const strip = (title, unit, role, alt) => {
    const images = unit.images.filter(image => image[0] === role);
    return images.length ? el("section", {}, el("h2", {}, title), el("div", { class: "strip" }, images.map(image =>
      el("figure", {}, wide(image, `${alt}${image[5] ? ` from ${image[5].split(",")[0]}` : ""}`, "140px"), image[4] === null ? null : el("figcaption", {}, figure(image[4])))))) : null;
  };
  const said = { percentile: "Its picture activates it", score: "Activation of its picture", highest: "Highest on photos", mean: "Mean on photos", deviation: "Deviation on photos" };
  const figures = unit => el("dl", { class: "figures" }, Object.entries(said).filter(([name]) => unit.figures[name] !== undefined && unit.figures[name] !== null).map(([name, text]) =>
    el("div", {}, el("dt", {}, text), el("dd", {}, name === "percentile" ? phosphene.rank(unit.figures[name]) : figure(unit.figures[name])))));

  function hero(unit, name) {
    const order = ["noise", "diverse", "dream", "top"], image = order.map(role => unit.images.find(each => each[0] === role)).find(Boolean);
    return el("figure", { class: "big" }, image ? wide(image, `What ${name} wants to see`, "(max-width: 780px) 92vw, 520px") : el("p", { class: "quiet" }, "No picture yet"));
  }

  views.unit = async (id, name, text) => {
    const network = +id, number = find(network, name), layer = phosphene.layer(network, number), channel = +text, place = phosphene.place(layer, channel);
    if (place < 0) throw new Error(`There is no unit ${text} of ${name} in this catalog.`);
    const unit = await phosphene.unit(network, number, place), title = `${name}:${channel}`;
    const to = (other, mark, words) => other >= 0 && other < phosphene.count(layer) ? el("a", { class: "button", [mark]: true, href: href("unit", network, name, phosphene.channel(layer, other)) }, words) : null;
    const near = (title, units, word) => units.length ? el("section", {}, el("h2", {}, title), el("div", { class: "grid" }, units.map(([other, one, cosine]) => {
      const there = phosphene.layer(network, other), tile = lazyTile({ network, number: other, place: phosphene.place(there, one), channel: one, percentile: NaN });
      tile.querySelector(".caption").append(el("small", {}, `${word} ${figure(cosine)}`));
      return tile;
    }))) : null;
    const twins = phosphene.known.index.networks.filter(one => one.id !== network && one.layers.some(each => each.name === name && phosphene.place(each, channel) >= 0));
    return el("section", { class: "page", "data-title": title },
      trail(...(several() ? [el("span", {}, phosphene.network(network).label)] : []), el("a", { href: href("layer", network, name) }, name), el("span", {}, `${channel}`)),
      el("header", { class: "head" }, el("div", {}, el("h1", {}, title), el("p", { class: "quiet" }, [layer.kind, unit.same === undefined ? "" : `correlation with the first network's on photos: ${figure(unit.same)}`].filter(Boolean).join(" · "))),
        el("div", { class: "row" }, twins.length ? el("a", { class: "button", href: href("compare", name, channel) }, "Side by side") : null, to(place - 1, "data-before", "← Before"), to(place + 1, "data-after", "After →"))),
      el("div", { class: "unit" }, hero(unit, title), el("div", { class: "side" }, figures(unit), phosphene.curve(unit.curve, unit.figures.score, phosphene.network(network).crops),
        strip("Different ways to it", unit, "diverse", `One of the pictures of ${title}`), strip("In a photo", unit, "dream", `A photo dreamed by ${title}`))),
      strip("Photos that activate it most", unit, "top", "Crop"), strip("Photos that activate it least", unit, "bottom", "Crop"),
      near("Units most like it on photos", unit.near, "correlation"), near("Units whose pictures look most like its own", unit.like, "likeness"));
  };

  views.compare = async (name, text) => {
    const { networks } = phosphene.known.index;
    const shared = networks[0].layers.filter(layer => networks.slice(1).some(one => one.layers.some(each => each.name === layer.name)));
    if (!shared.length) throw new Error("The networks of this catalog have no layer of the same name.");
    const chosen = shared.find(layer => layer.name === name) ?? shared[0];
    const select = el("select", { "aria-label": "Layer", onchange: () => { location.hash = href("compare", select.value); } }, shared.map(layer => el("option", { value: layer.name, selected: layer === chosen }, layer.name)));
    const sides = networks.map(network => ({ network, number: network.layers.findIndex(layer => layer.name === chosen.name) })).filter(side => side.number >= 0);
    const head = words => el("header", { class: "head" }, el("div", {}, el("h1", {}, words), el("p", { class: "quiet" }, sides.map(side => side.network.label).join(" · "))), el("div", { class: "row" }, select));
    if (text !== undefined) {
      const channel = +text, columns = [];
      for (const { network, number } of sides) {
        const place = phosphene.place(network.layers[number], channel);
        if (place < 0) continue;
        const unit = await phosphene.unit(network.id, number, place);
        columns.push(el("article", {}, el("h2", {}, el("a", { href: href("unit", network.id, chosen.name, channel) }, network.label)), hero(unit, `${chosen.name}:${channel} of ${network.label}`),
          figures(unit), unit.same === undefined ? null : el("p", { class: "quiet" }, `Correlation with the first on photos: ${figure(unit.same)}`), strip("Photos", unit, "top", "Crop")));
      }
      return el("section", { class: "page", "data-title": `${chosen.name}:${channel}` }, trail(el("a", { href: href("compare", chosen.name) }, "Side by side"), el("span", {}, `${channel}`)), head(`${chosen.name}:${channel}`), el("div", { class: "columns" }, columns));
    }
    const same = channel => Math.min(...sides.map(({ network, number }) => network.layers[number].same[phosphene.place(network.layers[number], channel)] ?? Infinity));
    const channels = Array.from({ length: phosphene.count(chosen) }, (_, i) => phosphene.channel(chosen, i)), box = el("div", {});
    const pairs = order => phosphene.grid(order.length, i => {
      const channel = order[i], alike = same(channel);
      const name = el("span", { class: "which" }, el("b", {}, `${channel}`), isFinite(alike) ? el("small", { title: "correlation on photos" }, alike.toFixed(2)) : null);
      return el("a", { class: "pair", href: href("compare", chosen.name, channel), "aria-label": `Channel ${channel} side by side` }, name, sides.map(({ network, number }) => {
        const face = el("span", { class: "face" }), place = phosphene.place(network.layers[number], channel);
        if (place >= 0) phosphene.load(`${network.id}-${number}`).then(({ faces, sizes }) => faces[place] && face.append(phosphene.picture(faces[place], sizes[place])));
        return face;
      }));
    }, 60);
    const fill = by => {
      const grid = pairs(by === "same" ? [...channels].sort((a, b) => same(a) - same(b)) : channels);
      grid.classList.add("pairs");
      box.replaceChildren(grid);
    };
    fill("network");
    const top = head(chosen.name);
    if (channels.some(channel => isFinite(same(channel)))) top.querySelector(".row").append(ordering([["network", "In order"], ["same", "Most changed first"]], "network", fill));
    return el("section", { class: "page", "data-title": "Side by side" }, trail(el("span", {}, "Side by side")), top, box);
  };
})();
