// The live socket: as many requests in flight as the round trip needs, the newest waiting, older ones dropped.

const FRAME_MS = 1000 / 30;
const MOST_IN_FLIGHT = 12;
const LOST_AFTER_MS = 5000;

/** Where a route of ours is, whatever path the app is served under. */
export function address(base, path) {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  return `${scheme}//${location.host}${base}${path}`;
}

/** Decode one binary frame: header length, JSON header, float32 arrays. */
export function decode(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const frame = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let offset = 4 + length;
  const arrays = {};
  for (const [name, shape] of frame.arrays) {
    const size = shape.reduce((product, side) => product * side, 1);
    arrays[name] = { shape, values: new Float32Array(buffer, offset, size) };
    offset += 4 * size;
  }
  return { ...frame, arrays };
}

/**
 * A socket that comes back by itself. `first()` gives the first message (with the page's token); `renew()` asks the page
 * for another token when this one is refused; `state(name)` is told "live", "offline" or "refused".
 */
export class Link {
  constructor({ url, first, renew, message, state, opened }) {
    Object.assign(this, { url, first, renew, message, state, opened, wait: 250, closed: false });
    this.retry = () => this.again();
    addEventListener("online", this.retry);
    this.connect();
  }

  connect() {
    if (this.closed) return;
    clearTimeout(this.timer);
    this.socket = new WebSocket(this.url);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      this.socket.send(JSON.stringify(this.first()));
      this.opened?.();
    };
    this.socket.onmessage = (event) => {
      this.wait = 250;
      this.message(event.data);
    };
    this.socket.onclose = (event) => {
      if (this.closed) return;
      this.state(event.code === 4404 ? "missing" : "offline");
      if (event.code === 4404) return;
      if (event.code === 4401) this.renew();
      this.timer = setTimeout(() => this.connect(), this.wait * (1 + Math.random() / 2));
      this.wait = Math.min(8000, this.wait * 2);
    };
  }

  /** Try at once, with whatever token the page has given meanwhile. */
  again() {
    if (this.closed || this.socket.readyState <= WebSocket.OPEN) return;
    this.connect();
  }

  get open() {
    return this.socket.readyState === WebSocket.OPEN;
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    removeEventListener("online", this.retry);
    this.socket.close();
  }
}

/** Evaluates a scene: `ask` marks the state as changed; `frame` gets each answer that is newer than the last. */
export class SceneSocket {
  constructor({ base, token, renew, request, frame, error, state }) {
    Object.assign(this, { request, frame, error, state, seq: 0, shown: 0, trip: 8, flying: new Map(), waiting: false });
    this.link = new Link({
      url: address(base, "/live/scene"),
      first: () => ({ token: token() }),
      renew,
      opened: () => {
        this.flying.clear();
        this.waiting = true;
        this.send();
      },
      message: (data) => this.receive(data),
      state,
    });
  }

  ask() {
    this.waiting = true;
    this.send();
    return this.seq;
  }

  send() {
    if (!this.waiting || !this.link.open) return;
    const now = performance.now();
    for (const [seq, sent] of this.flying) if (now - sent > LOST_AFTER_MS) this.flying.delete(seq);
    if (this.flying.size >= this.limit) return;
    this.waiting = false;
    this.seq += 1;
    this.flying.set(this.seq, now);
    this.link.socket.send(JSON.stringify({ seq: this.seq, ...this.request() }));
  }

  get limit() {
    return Math.min(MOST_IN_FLIGHT, Math.max(1, Math.ceil(this.trip / FRAME_MS)));
  }

  receive(data) {
    const answer = typeof data === "string" ? JSON.parse(data) : decode(data);
    const sent = this.flying.get(answer.seq);
    if (sent) this.trip += 0.2 * (performance.now() - sent - this.trip);
    for (const seq of this.flying.keys()) if (seq <= answer.seq) this.flying.delete(seq);
    this.state("live");
    this.send();
    if (answer.error) this.error(answer);
    else if (answer.seq > this.shown) {
      this.shown = answer.seq;
      this.frame(answer);
    }
  }

  close() {
    this.link.close();
  }
}
