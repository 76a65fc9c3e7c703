// Data comes as scripts that call phosphene.take: pages opened from a folder may not fetch.
const phosphene = { known: {}, waiting: {} };
phosphene.take = (name, value) => { phosphene.known[name] = value; };
phosphene.load = name => {
  if (name in phosphene.known) return Promise.resolve(phosphene.known[name]);
  return phosphene.waiting[name] ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = `data/${name}.js`;
    script.onload = () => { script.remove(); done(phosphene.known[name]); };
    script.onerror = () => { script.remove(); delete phosphene.waiting[name]; failed(new Error(`data/${name}.js is missing`)); };
    document.head.append(script);
  });
};
phosphene.CHUNK = 64;

phosphene.layer = (network, number) => phosphene.network(network)?.layers[number];
phosphene.network = id => phosphene.known.index.networks.find(one => one.id === id);
phosphene.count = layer => Array.isArray(layer.units) ? layer.units.length : layer.units.count;
phosphene.channel = (layer, place) => Array.isArray(layer.units) ? layer.units[place] : layer.units.start + place * layer.units.step;
phosphene.place = (layer, channel) => {
  if (Array.isArray(layer.units)) return layer.units.indexOf(channel);
  const place = (channel - layer.units.start) / layer.units.step;
  return Number.isInteger(place) && place >= 0 && place < layer.units.count ? place : -1;
};
phosphene.unit = async (network, number, place) => {
  const part = await phosphene.load(`${network}-${number}-${Math.floor(place / phosphene.CHUNK)}`);
  return part[place % phosphene.CHUNK];
};
