// Runs before the page's own scripts: remembers what stands on canvases, and counts what goes over the wire.
(() => {
  if (window.streamnbProbe) return;
  const canvases = new Map(); // canvas -> what was drawn on it since it was last cleared
  const probe = {
    firstPainted: {}, // text -> milliseconds since 1970
    counts: { fillText: 0, fillRect: 0, fill: 0, stroke: 0, messages: 0, bytes: 0, sent: 0, sentBytes: 0 },
    texts: () => standing().flatMap((drawn) => drawn.texts),
    shapes: () => standing().reduce((sum, drawn) => sum + drawn.shapes, 0),
  };
  window.streamnbProbe = probe;

  const standing = () => [...canvases].filter(([canvas]) => canvas.isConnected).map(([, drawn]) => drawn);
  const drawnOn = (canvas) => {
    if (!canvases.has(canvas)) canvases.set(canvas, { texts: [], shapes: 0 });
    return canvases.get(canvas);
  };
  const context = CanvasRenderingContext2D.prototype;
  const before = (name, note) => {
    const original = context[name];
    context[name] = function (...args) {
      note(this, ...args);
      return original.apply(this, args);
    };
  };
  before("fillText", ({ canvas }, text) => {
    probe.counts.fillText += 1;
    probe.firstPainted[text] ??= Date.now();
    drawnOn(canvas).texts.push(String(text));
  });
  for (const name of ["fillRect", "fill", "stroke"]) {
    before(name, ({ canvas }) => {
      probe.counts[name] += 1;
      drawnOn(canvas).shapes += 1;
    });
  }
  before("clearRect", (cleared, x, y, width, height) => {
    const { canvas } = cleared;
    const { a, d } = cleared.getTransform();
    if (width * a >= 0.99 * canvas.width && height * d >= 0.99 * canvas.height) canvases.delete(canvas);
  });

  const size = (data) => data.byteLength ?? data.size ?? data.length ?? 0;
  window.WebSocket = class extends WebSocket {
    constructor(...args) {
      super(...args);
      this.addEventListener("message", (event) => {
        probe.counts.messages += 1;
        probe.counts.bytes += size(event.data);
      });
    }
    send(data) {
      probe.counts.sent += 1;
      probe.counts.sentBytes += size(data);
      return super.send(data);
    }
  };
})();
