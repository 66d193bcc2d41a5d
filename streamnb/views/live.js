// One Bokeh document per model, any number of views of it; frames in, receipts and gestures out.

const GESTURE_PAUSE_MS = 30;
const SPEAK_AFTER_MS = 1000;

function make(tag, attributes) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

// The marks as a table; its lines can be picked as the marks can be clicked. Every value is set as text.
function tableOf({ title, note, columns, rows }, pick) {
  const [table, head, body, top] = ["table", "thead", "tbody", "tr"].map((tag) => make(tag, {}));
  const scroll = make("div", { class: "sn-scroll", tabindex: 0, "aria-label": title });
  const cell = (tag, text, attributes = {}) => Object.assign(make(tag, attributes), { textContent: text });
  top.append(...columns.map((name) => cell("th", name, { scope: "col" })));
  for (const { cells, pick: place } of rows) {
    const row = make("tr", place ? { tabindex: 0, "data-pick": place } : {});
    row.append(...cells.map((text) => cell("td", text)));
    if (place) {
      row.onclick = () => pick(place);
      row.onkeydown = (event) => event.key === "Enter" && pick(place);
    }
    body.append(row);
  }
  head.append(top);
  table.append(head, body);
  scroll.append(table);
  return [cell("p", [title, note].filter(Boolean).join(". "), { class: "sn-title" }), scroll];
}

function isDark() {
  const { dataset, classList } = document.body;
  if (dataset.jpThemeLight !== undefined) return dataset.jpThemeLight === "false";
  if (classList.contains("vscode-dark") || classList.contains("vscode-light")) return classList.contains("vscode-dark");
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

function onThemeChange(callback, signal) {
  const observer = new MutationObserver(callback);
  observer.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "class"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", callback, { signal });
  signal.addEventListener("abort", () => observer.disconnect());
}

// A page needs one BokehJS per version, whichever figure asks its kernel for it first.
async function bokeh(model, closing) {
  const version = model.get("version");
  const asked = (globalThis.__streamnb_bokeh ??= new Map());
  while (!globalThis.Bokeh?.[version] && !closing.aborted) {
    if (!asked.has(version)) asked.set(version, ask(model, closing).finally(() => asked.delete(version)));
    await asked.get(version);
  }
  return globalThis.Bokeh?.[version];
}

// Done when the script has run, or when the figure is closed: then another one that waits asks again.
function ask(model, closing) {
  return new Promise((done) => {
    const hear = (message, buffers) => {
      if (message.type !== "script") return;
      model.off("msg:custom", hear); // another page may ask too, and all pages hear the answer
      run(buffers[0]).then(done);
    };
    closing.addEventListener("abort", done);
    model.on("msg:custom", hear);
    model.send({ type: "script" });
  });
}

// The script finds its global object as "this", which a module does not have.
async function run(script) {
  const parts = ["(function () {", script, "\n}).call(globalThis)"];
  const url = URL.createObjectURL(new Blob(parts, { type: "text/javascript" }));
  await import(url);
  URL.revokeObjectURL(url);
}

const decode = (buffer) => JSON.parse(new TextDecoder().decode(buffer));
const bytes = (view) => view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);

class Picture {
  constructor(model, Bokeh) {
    this.model = model;
    this.Bokeh = Bokeh;
    this.views = new Map(); // view manager -> element
    this.gestures = new Map();
    this.number = -1;
    this.opened = new Promise((resolve) => (this.isOpen = resolve));
    this.askForTheWhole();
  }

  open(json, number) {
    const { Document } = this.Bokeh.require("document");
    this.document = Document.from_json(json);
    this.number = number;
    this.paintRoles();
    this.document.on_change((event) => this.gesture(event));
    this.isOpen();
  }

  // Python's changes and the theme's must not come back to Python as gestures.
  quietly(change) {
    this.quiet = true;
    try {
      change();
    } finally {
      this.quiet = false;
    }
  }

  receive(message, buffers) {
    if (message.type === "whole") this.replace(decode(buffers[0]), message.number);
    if (message.type === "frame") this.apply(message, buffers);
  }

  apply(message, buffers) {
    if (message.number <= this.number) return;
    if (!this.document || message.number > this.number + 1) {
      this.askForTheWhole();
      return;
    }
    this.number = message.number;
    const binary = new Map(message.buffers.map((id, i) => [id, bytes(buffers[i + 1])]));
    const known = this.document._all_models.size;
    this.quietly(() => this.document.apply_json_patch(decode(buffers[0]), binary));
    if (this.document._all_models.size > known) this.paintRoles();
    if (this.views.size) this.sendReceipt(message.number);
  }

  // Bokeh paints in an animation frame that it asked for while the patch was applied; the task after it finds it done.
  sendReceipt(number) {
    requestAnimationFrame(() => setTimeout(() => this.model.send({ type: "receipt", number }), 0));
  }

  askForTheWhole() {
    if (!this.asked) this.model.send({ type: "hello", number: this.number });
    this.asked = true;
  }

  async replace(json, number) {
    this.asked = false;
    if (number <= this.number) return;
    await this.renew(() => {
      this.forgetDocument();
      this.open(json, number);
    });
    this.sendReceipt(number);
  }

  // Colours of titles, legends and axes are looks of a layout: Bokeh gets them right when it lays out anew.
  changeTheme() {
    if (this.document && this.dark !== isDark()) this.renew(() => this.paintRoles());
  }

  renew(change) {
    for (const manager of this.views.keys()) this.empty(manager);
    change();
    return Promise.all([...this.views].map(([manager, element]) => this.fill(manager, element)));
  }

  // add_document_standalone() allows one rendering of a document, and a notebook may have many.
  async addView(element) {
    await this.opened;
    const { ViewManager } = this.Bokeh.require("core/view_manager");
    const manager = new ViewManager([], this.Bokeh.index);
    this.views.set(manager, element);
    await this.fill(manager, element);
    this.repaint(); // building a view makes the others lay out their legends, which stay empty until painted
    return () => {
      this.views.delete(manager);
      this.empty(manager);
    };
  }

  async fill(manager, element) {
    this.document.views_manager ??= manager;
    element.replaceChildren();
    for (const root of this.document.roots()) {
      const view = await manager.build_view(root);
      view.build(element);
      this.Bokeh.index.add(view);
    }
  }

  repaint() {
    for (const manager of this.views.keys()) {
      for (const view of manager.roots) view.invalidate_layout?.();
    }
  }

  empty(manager) {
    for (const view of [...manager.roots]) {
      this.Bokeh.index.delete(view);
      view.remove();
    }
    if (this.document.views_manager === manager) this.document.views_manager = null;
  }

  gesture(event) {
    if (this.quiet || !isGesture(event)) return;
    const key = event.kind === "ModelChanged" ? `${event.model.id}.${event.attr}` : Symbol();
    this.gestures.set(key, event);
    this.timer ??= setTimeout(() => this.sendGestures(), GESTURE_PAUSE_MS);
  }

  sendGestures() {
    const { Serializer } = this.Bokeh.require("core/serialization");
    const references = new Map([...this.document._all_models.values()].map((m) => [m, m.ref()]));
    const events = [...this.gestures.values()].map((event) => new Serializer({ references }).encode(event));
    this.timer = undefined;
    this.gestures.clear();
    this.model.send({ type: "gestures", events });
  }

  paintRoles() {
    this.dark = isDark();
    const palette = this.model.get("palette")[this.dark ? "dark" : "light"];
    this.quietly(() => {
      for (const painted of this.document._all_models.values()) {
        for (const tag of painted.tags) if (tag?.paint) painted.setv(colours(painted, tag.paint, palette));
      }
    });
  }

  forgetDocument() {
    if (!this.document) return;
    const open = this.Bokeh.documents;
    const at = open.indexOf(this.document);
    if (at >= 0) open.splice(at, 1);
    this.document.clear();
  }
}

// Sizes and automatic ranges are results of painting: they stay here.
function isGesture(event) {
  if (event.kind !== "ModelChanged") return true;
  return event.model.type !== "DataRange1d" && !/^(inner|outer)_(width|height)$|^active_/.test(event.attr);
}

function colours(model, paint, palette) {
  const entries = Object.entries(paint).map(([name, role]) => {
    const isSpec = model[name]?.value !== undefined;
    return [name, isSpec ? { value: palette[role] } : palette[role]];
  });
  return Object.fromEntries(entries);
}

export default () => {
  let ready;
  return {
    initialize({ model }) {
      const closing = new AbortController();
      ready = bokeh(model, closing.signal).then((Bokeh) => Bokeh && new Picture(model, Bokeh));
      model.on("msg:custom", (message, buffers) => ready.then((picture) => picture?.receive(message, buffers)));
      onThemeChange(() => ready.then((picture) => picture?.changeTheme()), closing.signal);
      return () => {
        closing.abort();
        ready.then((picture) => picture?.forgetDocument());
      };
    },

    async render({ model, el }) {
      const figure = make("div", { class: "sn-figure", role: "img", tabindex: 0 });
      const caption = make("p", { class: "sn-caption", "aria-hidden": true });
      const spoken = make("p", { class: "sn-spoken", "aria-live": "polite" });
      let timer;
      // What is read aloud waits until the picture has come to rest.
      const describe = () => {
        const words = model.get("caption");
        caption.textContent = words;
        figure.setAttribute("aria-label", words || "figure");
        clearTimeout(timer);
        timer = setTimeout(() => (spoken.textContent = words), SPEAK_AFTER_MS);
      };
      describe();
      model.on("change:caption", describe);
      el.classList.add("sn", "sn-live");
      const behind = make("details", { class: "sn-behind" });
      const listed = make("div", { class: "sn-table" });
      behind.append(Object.assign(make("summary", {}), { textContent: "table" }), listed);
      behind.ontoggle = () => model.send({ type: "table", value: behind.open });
      const list = () => {
        const told = model.get("behind");
        if (behind.open && told.columns) listed.replaceChildren(...tableOf(told, (value) => model.send({ type: "pick", value })));
      };
      model.on("change:behind", list);
      el.append(figure, caption, behind, spoken);
      const picture = await ready;
      const removeView = await picture?.addView(figure);
      return () => {
        clearTimeout(timer);
        model.off("change:caption", describe);
        model.off("change:behind", list);
        removeView?.();
      };
    },
  };
};
