// The WebSocket: jobs that are watched, their frames, and an acknowledgement once a frame is drawn.

const watched = new Map(); // job id -> {frame(header, bitmap), job(state)}
let socket = null;
let wait = 500;

function send(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

/** 4 bytes of length, a JSON header of so many bytes, a JPEG. */
export function split(buffer) {
  const length = new DataView(buffer).getUint32(0);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return [header, new Blob([new Uint8Array(buffer, 4 + length)], { type: "image/jpeg" })];
}

async function received(event) {
  if (typeof event.data === "string") {
    const message = JSON.parse(event.data);
    if (message.type === "job") watched.get(message.id)?.job(message);
    return;
  }
  const [header, jpeg] = split(event.data);
  try {
    const bitmap = await createImageBitmap(jpeg);
    watched.get(header.job)?.frame(header, bitmap);
  } finally {
    send({ type: "ack", n: header.n });
  }
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/api/live`);
  socket.binaryType = "arraybuffer";
  socket.addEventListener("open", () => {
    wait = 500;
    for (const job of watched.keys()) send({ type: "watch", job });
  });
  socket.addEventListener("message", received);
  socket.addEventListener("close", () => {
    socket = null;
    if (!watched.size) return;
    setTimeout(() => watched.size && !socket && connect(), wait);
    wait = Math.min(wait * 2, 8000);
  });
}

export function watch(job, listener) {
  watched.set(job, listener);
  if (!socket) connect();
  else send({ type: "watch", job });
}

export function leave(job) {
  if (watched.delete(job)) send({ type: "leave", job });
}
