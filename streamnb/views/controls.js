// Buttons, slider and numbers. Everything shown is set as text; every gesture is one command to the kernel.

const DRAG_PAUSE_MS = 30;
const KEYS = { ArrowLeft: "back", ArrowRight: "step", " ": "step", Home: "first", End: "last", p: "toggle", };
const FRACTIONS = { 0.25: "¼", 0.5: "½" };

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const setText = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

function pill(command, text, title) {
  return make("button", { class: `sn-pill sn-${command}`, type: "button", title, "aria-label": title }, text);
}

class Panel {
  constructor(model, el) {
    this.model = model;
    this.el = el;
    this.back = pill("back", "◂ back", "Back one batch (←)");
    this.step = pill("step", "step ▸", "Step one batch (→ or space)");
    this.play = pill("play", "▶ play", "Play (P)");
    this.speed = make("select", { class: "sn-speed", "aria-label": "Speed, in batches a second", title: "Batches a second" });
    this.slider = make("input", { class: "sn-slider", type: "range", min: 0, step: 1, "aria-label": "Batch" });
    this.where = make("output", { class: "sn-where" });
    this.rewind = pill("rewind", "rewind to here", "Rewind the query to this batch and go on from there");
    this.numbers = make("div", { class: "sn-numbers" });
    this.status = this.number("query", "Whether the query is running.");
    this.status.cell.classList.add("sn-status");
    this.cells = new Map();
    this.waits = make("div", { class: "sn-waits", role: "status" });
    this.error = make("details", { class: "sn-error", role: "alert" });
    this.title = this.error.appendChild(make("summary"));
    this.trace = this.error.appendChild(make("pre"));
    this.addSpeeds();
    this.place();
    this.listen();
  }

  place() {
    const { back, step, play, speed, slider, where, rewind } = this;
    const bar = make("div", { class: "sn-bar", role: "group" }, back, step, play, speed, slider, where, rewind);
    this.root = make("section", { class: "sn-controls" }, bar, this.numbers, this.waits, this.error);
    this.el.classList.add("sn");
    this.el.append(this.root);
  }

  addSpeeds() {
    for (const speed of this.model.get("speeds")) {
      this.speed.append(make("option", { value: speed }, `${FRACTIONS[speed] ?? speed}×`));
    }
  }

  number(label, hint) {
    const value = make("span", { class: "sn-value" });
    const cell = make("div", { title: hint, "data-label": label }, make("span", {}, label), value);
    this.numbers.append(cell);
    return { cell, value };
  }

  listen() {
    this.back.onclick = () => this.press("back");
    this.step.onclick = () => this.press("step");
    this.play.onclick = () => this.press("toggle");
    this.rewind.onclick = () => {
      this.press("rewind");
      this.step.focus();
    };
    this.speed.onchange = () => this.send("speed", Number(this.speed.value));
    this.slider.oninput = () => this.drag();
    this.slider.onchange = () => (this.dragging = false);
  }

  press(command) {
    const { status } = this.shown;
    const button = { back: this.back, step: this.step, toggle: this.play, first: this.back, rewind: this.rewind }[command];
    if (button?.getAttribute("aria-disabled") === "true") return;
    if (command === "toggle") command = status === "playing" ? "pause" : "play";
    this.send(command);
  }

  drag() {
    this.dragging = true;
    this.fill();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send("jump", Number(this.slider.value)), DRAG_PAUSE_MS);
  }

  send(command, value) {
    this.model.send({ command, value });
  }

  // The window hears a key before JupyterLab does. What is pressed here must not cut or delete the cell behind it;
  // Ctrl+S, Shift+Enter and Escape stay JupyterLab's.
  key(event) {
    const { key, target } = event;
    const area = this.el.closest(".sn-dashboard") ?? this.el;
    if (!area.contains(target)) return;
    const plain = !event.ctrlKey && !event.altKey && !event.metaKey;
    const theirs = key === "Escape" || (event.shiftKey && key === "Enter");
    target.toggleAttribute("data-lm-suppress-shortcuts", plain && !theirs);
    const command = KEYS[key];
    if (!plain || event.shiftKey || !command || hasOwnUse(target, key)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    this.press(command);
  }

  show(shown) {
    this.shown = shown;
    const { name, status, at, newest, batches, speed, error } = shown;
    const past = at < newest;
    this.root.setAttribute("aria-label", `Query ${name}`);
    this.enable(this.back, at > 0);
    this.enable(this.step, past || status !== "stopped");
    this.enable(this.play, status !== "stopped");
    this.showPlay(status === "playing");
    this.speed.value = String(speed);
    this.showPlace(at, newest, batches);
    this.rewind.style.visibility = past ? "visible" : "hidden";
    this.enable(this.rewind, status !== "stopped");
    this.showNumbers(shown.numbers, status);
    this.waits.hidden = !shown.waits?.length;
    setText(this.waits, (shown.waits ?? []).join("\n"));
    this.error.hidden = !error;
    setText(this.title, error?.title ?? "");
    setText(this.trace, error?.trace ?? "");
  }

  enable(button, on) {
    button.setAttribute("aria-disabled", String(!on)); // unlike disabled, this keeps the focus
  }

  showPlay(playing) {
    const title = playing ? "Pause (P)" : "Play (P)";
    setText(this.play, playing ? "❚❚ pause" : "▶ play");
    this.play.title = title;
    this.play.setAttribute("aria-label", title);
  }

  showPlace(at, newest, batches) {
    const words = batches ? `batch ${batches[0] + at} of ${batches[1]}` : "no batch yet";
    this.slider.disabled = newest < 1;
    this.slider.max = Math.max(newest, 0);
    if (!this.dragging) this.slider.value = Math.max(at, 0);
    this.slider.setAttribute("aria-valuetext", words);
    setText(this.where, words);
    this.fill();
  }

  fill() {
    const { value, max } = this.slider;
    this.slider.style.setProperty("--fill", `${max > 0 ? (100 * value) / max : 0}%`);
  }

  showNumbers(numbers, status) {
    this.status.cell.dataset.status = status;
    setText(this.status.value, status);
    for (const { label, text, hint } of numbers) {
      if (!this.cells.has(label)) this.cells.set(label, this.number(label, hint));
      const { cell, value } = this.cells.get(label);
      setText(value, text);
      cell.toggleAttribute("data-zero", text === "0" || text === "–");
    }
  }
}

// Space presses a focused button and opens a list; arrows, Home and End move in a list.
function hasOwnUse(target, key) {
  if (target.tagName === "SELECT") return key !== "p";
  return ["BUTTON", "SUMMARY"].includes(target.tagName) && key === " ";
}

export default {
  render({ model, el }) {
    const panel = new Panel(model, el);
    const closing = new AbortController();
    const show = () => panel.show(model.get("shown"));
    show();
    model.on("change:shown", show);
    window.addEventListener("keydown", (event) => panel.key(event), { capture: true, signal: closing.signal });
    return () => {
      closing.abort();
      model.off("change:shown", show);
    };
  },
};
