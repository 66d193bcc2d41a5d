// A sheet of figures, tables and words from plain data. Every text is set as text, never as HTML.

const SVG = "http://www.w3.org/2000/svg";
const PAUSE_MS = 30;
const SPEAK_AFTER_MS = 1000;
const STEP_MS = 220;
const CALM_MS = 260; // faster than that, states follow each other without motion
const MARKS = { new: ["+", "new"], changed: ["", "changed"], leaving: ["▨", "about to be evicted"], gone: ["✕", "evicted"], picked: ["▸", "looked at"] };

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function draw(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined && value !== null) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

const colour = (role) => (role ? `var(--sn-${role.replaceAll("_", "-")})` : "none");
const path = (points) => `M${points.map((p) => p.join(" ")).join("L")}`;

const painters = {
  line: (s) => draw("path", { d: path(s.points), fill: "none", style: `stroke:${colour(s.role)}`, "stroke-width": s.width, "stroke-dasharray": s.dash }),
  area: (s, ids) => draw("path", { d: `${path(s.points)}Z`, style: `fill:${s.hatch ? ids.hatch(s.role) : colour(s.role)}`, "fill-opacity": s.alpha }),
  rect: (s, ids) => {
    const place = { x: s.x, y: s.y, width: Math.max(s.w, 0), height: Math.max(s.h, 0), rx: s.r };
    const box = draw("rect", { ...place, style: `fill:${colour(s.fill)};stroke:${colour(s.line)}`, "fill-opacity": s.alpha, "stroke-width": s.stroke, "stroke-dasharray": s.dash });
    if (!s.hatch) return box;
    const group = draw("g", {});
    group.append(box, draw("rect", { ...place, style: `fill:${ids.hatch(s.hatch)}` }));
    return group;
  },
  dot: (s) => draw("circle", { cx: s.x, cy: s.y, r: s.r, style: `fill:${colour(s.fill)};stroke:${colour(s.line)}`, "fill-opacity": s.alpha, "stroke-width": s.stroke }),
  diamond: (s) => draw("path", { d: `M${s.x} ${s.y - s.r}l${s.r} ${s.r}l${-s.r} ${s.r}l${-s.r} ${-s.r}Z`, style: `fill:${colour(s.fill)};stroke:${colour(s.line)}` }),
  cross: (s) => draw("path", { d: `M${s.x - s.r} ${s.y - s.r}l${2 * s.r} ${2 * s.r}m0 ${-2 * s.r}l${-2 * s.r} ${2 * s.r}`, fill: "none", style: `stroke:${colour(s.role)}`, "stroke-width": s.width ?? 2.6 }),
  text: (s) => {
    const words = draw("text", { x: s.x, y: s.y, "font-size": s.size, "text-anchor": s.anchor, "font-weight": s.bold ? 700 : undefined, "font-style": s.italic ? "italic" : undefined, style: `fill:${colour(s.role)}` }, s.text);
    if (s.turn) words.setAttribute("transform", `rotate(${s.turn} ${s.x} ${s.y})`);
    if (s.halo) words.setAttribute("class", "sn-halo");
    return words;
  },
};

let pictures = 0;
const scope = Math.random().toString(36).slice(2, 10); // each widget may load this file anew

// A pattern of a hidden picture does not paint, so every picture has its own.
class Hatches {
  constructor() {
    this.name = `sn-sheet-${scope}-${++pictures}`;
    this.defs = draw("defs", {});
    this.roles = new Set();
  }

  hatch(role) {
    const id = `${this.name}-${role}`;
    if (!this.roles.has(role)) {
      this.roles.add(role);
      const pattern = draw("pattern", { id, width: 5.5, height: 5.5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(30)" });
      pattern.append(draw("path", { d: "M0 0V5.5", style: `stroke:${colour(role)}`, "stroke-width": 1, "stroke-opacity": 0.45 }));
      this.defs.append(pattern);
    }
    return `url(#${id})`;
  }
}

export function paintShape(shape, ids) {
  const element = painters[shape.kind](shape, ids);
  if (shape.tip) element.append(draw("title", {}, shape.tip));
  if (shape.pick) element.dataset.pick = shape.pick;
  if (shape.drag) element.dataset.drag = shape.drag;
  if (shape.group) element.dataset.group = shape.group;
  return element;
}

function headOf(columns, send) {
  const row = make("tr");
  row.append(make("th", "sn-mark"));
  for (const { name, note, numeric, sort, sorted } of columns) {
    const cell = make("th", numeric ? "sn-right" : "");
    cell.scope = "col";
    if (sort && send) {
      const button = make("button", "sn-sort", name + ({ up: " ▴", down: " ▾" }[sorted] ?? ""));
      button.type = "button";
      button.onclick = () => send("sort", sort);
      cell.setAttribute("aria-sort", { up: "ascending", down: "descending" }[sorted] ?? "none");
      cell.append(button);
    } else cell.append(name);
    if (note) cell.append(make("span", "", note));
    row.append(cell);
  }
  return row;
}

function rowOf({ cells, mark, pick, was }, columns, send) {
  const row = make("tr");
  const [sign, label] = MARKS[mark] ?? [""];
  const first = make("td", "sn-mark", sign);
  const before = new Map(was);
  if (mark) row.dataset.mark = mark;
  if (label) first.setAttribute("aria-label", label);
  row.append(first);
  cells.forEach((text, i) => {
    const cell = make("td", columns[i]?.numeric ? "sn-right" : "");
    if (before.has(i)) cell.append(make("del", "", before.get(i)));
    cell.append(text === "null" ? make("span", "sn-null", text) : text);
    row.append(cell);
  });
  if (pick && send) {
    row.tabIndex = 0;
    row.dataset.pick = pick;
    row.onclick = () => send("pick", pick);
    row.onkeydown = (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      send("pick", pick);
    };
  }
  return row;
}

function fillTable(root, grid, send) {
  const scroll = make("div", "sn-scroll");
  const table = make("table");
  const head = make("thead");
  const body = make("tbody");
  scroll.tabIndex = 0;
  scroll.setAttribute("aria-label", grid.title);
  head.append(headOf(grid.columns, send));
  body.append(...grid.rows.map((row) => rowOf(row, grid.columns, send)));
  table.append(head, body);
  scroll.append(table);
  const parts = grid.title ? [make("p", "sn-title", grid.title)] : [];
  parts.push(scroll);
  if (grid.note) parts.push(make("p", "sn-title", grid.note));
  root.replaceChildren(...parts);
}

// Where a shape stands, and how large a box is.
function stand({ kind, x, y, w, h, points }) {
  const [left, top] = points ? points[points.length - 1] : [x, y];
  return { left, top, w: kind === "rect" ? w : 1, h: kind === "rect" ? h : 1 };
}

// From one state to the next: shapes with an id go to their new place, new ones come in; the order is the lesson.
class Motion {
  constructor() {
    this.places = new Map();
    this.at = -Infinity;
    this.reduced = matchMedia("(prefers-reduced-motion: reduce)");
  }

  play(shapes, elements, allowed) {
    const before = this.places;
    const quick = performance.now() - this.at < CALM_MS;
    this.at = performance.now();
    this.places = new Map(shapes.filter(({ id }) => id).map((shape) => [shape.id, stand(shape)]));
    if (!allowed || quick || !before.size || this.reduced.matches) return;
    shapes.forEach((shape, i) => {
      const frames = shape.id && !shape.turn && this.frames(shape, before.get(shape.id));
      if (frames) elements[i].animate(frames, { duration: STEP_MS, delay: shape.wait ?? 0, fill: "backwards", easing: "ease-out" });
    });
  }

  frames({ id, drop }, old) {
    const now = this.places.get(id);
    if (!old) return [{ opacity: 0, transform: drop ? `translate(0, ${drop - now.top}px)` : "none" }, { opacity: 1, transform: "none" }];
    const [x, y, wide, high] = [old.left - now.left, old.top - now.top, old.w / (now.w || 1), old.h / (now.h || 1)];
    if (Math.abs(x) + Math.abs(y) < 1 && Math.abs(wide - 1) + Math.abs(high - 1) < 0.02) return undefined;
    const origin = `${now.left}px ${now.top}px`;
    return [{ transform: `translate(${x}px, ${y}px) scale(${wide}, ${high})`, transformOrigin: origin }, { transform: "none", transformOrigin: origin }];
  }
}

// One part of a sheet: made once, then told what changed.
class FigurePart {
  constructor(send) {
    this.send = send;
    this.root = make("div", "sn-part");
    this.motion = new Motion();
    this.picture = make("div", "sn-picture");
    this.details = make("details", "sn-behind");
    this.details.append(make("summary", "", "table"), make("div", "sn-table"));
    this.details.ontoggle = () => this.showTable();
    this.root.append(this.picture, this.details);
    this.picture.onclick = (event) => {
      const pick = event.target.closest("[data-pick]")?.dataset.pick;
      if (pick && this.send) this.send("pick", pick);
    };
    this.picture.onpointerover = (event) => this.light(event.target.closest("[data-group]")?.dataset.group);
    this.picture.onpointerleave = () => this.light();
    this.picture.onpointerdown = (event) => this.pull(event);
  }

  show(part, moves) {
    this.part = part;
    const ids = new Hatches();
    const elements = part.shapes.map((shape) => paintShape(shape, ids));
    const svg = draw("svg", { viewBox: `0 0 ${part.width} ${part.height}`, width: part.width, role: "img", tabindex: 0, "aria-label": part.label });
    svg.append(ids.defs, ...elements);
    this.picture.replaceChildren(svg);
    this.motion.play(part.shapes, elements, moves);
    this.details.hidden = !part.table;
    this.showTable();
  }

  showTable() {
    if (this.details.open && this.part.table) fillTable(this.details.lastChild, this.part.table);
  }

  light(group) {
    for (const element of this.picture.querySelectorAll("[data-group]")) element.classList.toggle("sn-lit", element.dataset.group === group);
  }

  pull(event) {
    const drag = event.target.closest("[data-drag]")?.dataset.drag;
    if (!drag || !this.send) return;
    event.preventDefault();
    let timer, last;
    const closing = new AbortController();
    const move = ({ clientX, clientY }) => {
      const box = this.picture.firstChild.getBoundingClientRect();
      last = [((clientX - box.left) / box.width) * this.part.width, ((clientY - box.top) / box.height) * this.part.height];
      timer ??= setTimeout(() => {
        timer = undefined;
        this.send("drag", [drag, ...last]);
      }, PAUSE_MS);
    };
    addEventListener("pointermove", move, { signal: closing.signal });
    addEventListener("pointerup", () => closing.abort(), { signal: closing.signal });
  }
}

class GridPart {
  constructor(send) {
    this.send = send;
    this.root = make("div", "sn-part sn-table");
  }

  show(part) {
    const scrolled = this.root.querySelector(".sn-scroll")?.scrollTop ?? 0;
    const at = this.root.querySelector("tr:focus")?.dataset.pick;
    fillTable(this.root, part, this.send ?? undefined);
    this.root.querySelector(".sn-scroll").scrollTop = scrolled;
    if (at) [...this.root.querySelectorAll("tr[data-pick]")].find((row) => row.dataset.pick === at)?.focus();
  }
}

class RemediesPart {
  constructor() {
    this.root = make("ol", "sn-part sn-remedies");
  }

  show({ remedies }) {
    this.root.replaceChildren(...remedies.map((remedy) => this.card(remedy)));
  }

  card({ code, what, why, way_out, lesson, link }) {
    const item = make("li", "sn-remedy");
    const told = make("dl");
    const teaches = link ? make("a", "", lesson) : make("span", "", lesson);
    if (link) Object.assign(teaches, { href: encodeURI(link), target: "_blank", rel: "noopener" });
    item.dataset.code = code;
    for (const [term, words] of [["why", why], ["way out", way_out], ["lesson", teaches]]) {
      const said = make("dd");
      said.append(words);
      told.append(make("dt", "", term), said);
    }
    item.append(make("p", "sn-what", `! ${what}`), told);
    return item;
  }
}

class WordsPart {
  constructor() {
    this.root = make("p", "sn-words");
  }

  show({ text, role }) {
    this.root.textContent = text;
    this.root.style.color = colour(role);
  }
}

class ControlPart {
  constructor(send, part) {
    this.send = send;
    this.root = make("label", "sn-control");
    this.label = make("span", "sn-label");
    this.input = part.kind === "choice" ? make("select") : make("input");
    if (part.kind === "slider") this.input.type = "range";
    if (part.kind === "search") this.input.type = "search";
    this.output = make("output", "sn-output");
    this.root.append(this.label, this.input, this.output);
    this.input[part.kind === "choice" ? "onchange" : "oninput"] = () => {
      const value = part.kind === "slider" ? Number(this.input.value) : this.input.value;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.send?.(part.name, value), part.kind === "search" ? 150 : PAUSE_MS);
    };
  }

  show(part) {
    this.label.textContent = part.label;
    if (part.kind === "choice") this.input.replaceChildren(...part.options.map(([value, text]) => Object.assign(make("option", "", text), { value })));
    if (part.kind === "slider") Object.assign(this.input, { min: part.low, max: part.high, step: part.step });
    if (document.activeElement !== this.input || part.kind === "choice") this.input.value = part.value;
    this.output.textContent = part.shown ?? "";
    this.input.setAttribute("aria-valuetext", part.shown ?? "");
  }
}

const PARTS = { figure: FigurePart, grid: GridPart, remedies: RemediesPart, words: WordsPart };

function keyOf(entries) {
  return entries.map(([shape, words]) => {
    const entry = make("span", "sn-entry");
    const ids = new Hatches();
    const svg = draw("svg", { viewBox: "0 0 24 16", width: 24, height: 16, "aria-hidden": true });
    svg.append(ids.defs, paintShape(shape, ids));
    entry.append(svg, words);
    return entry;
  });
}

// Shows sheets in an element; ``send(name, value)`` tells what the reader did, or only of the controls ``answered``, and of marks if
// they may be ``clicked``.
export class SheetView {
  constructor(el, send, answered, clicked) {
    this.send = send;
    this.answered = answered;
    this.marks = !answered ? send : clicked ? (name, value) => name === "pick" && send(name, value) : undefined;
    this.parts = [];
    this.root = make("section", "sn-sheet");
    this.title = make("h3", "sn-finding");
    this.lead = make("p", "sn-lead");
    this.key = make("p", "sn-key");
    this.body = make("div", "sn-body");
    this.spoken = make("p", "sn-spoken");
    this.spoken.setAttribute("aria-live", "polite");
    this.root.append(this.title, this.lead, this.key, this.body, this.spoken);
    el.classList.add("sn", "sn-room");
    el.append(this.root);
  }

  show({ title = "", lead = "", key = [], parts = [], spoken = "" }, moves = true) {
    this.title.textContent = title;
    this.lead.textContent = lead;
    const keys = JSON.stringify(key);
    if (keys !== this.keys) this.key.replaceChildren(...keyOf(key));
    this.keys = keys;
    this.root.setAttribute("aria-label", title);
    parts.forEach((part, i) => this.showPart(part, i, moves));
    for (const { view } of this.parts.splice(parts.length)) view.root.remove();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (this.spoken.textContent = spoken || title), SPEAK_AFTER_MS);
  }

  showPart(part, i, moves) {
    const text = JSON.stringify(part);
    const name = `${part.kind} ${part.name ?? ""}`;
    if (this.parts[i]?.name !== name) {
      const control = !(part.kind in PARTS);
      const view = control ? new ControlPart(this.send, part) : new PARTS[part.kind](this.marks);
      const old = this.parts[i]?.view.root;
      if (old) old.replaceWith(view.root);
      else this.body.append(view.root);
      if (control && this.answered?.has(part.name) === false) view.root.style.display = "none"; // nobody would answer
      this.parts[i] = { name, view };
    }
    if (this.parts[i].text !== text) this.parts[i].view.show(part, moves);
    this.parts[i].text = text;
  }

  close() {
    clearTimeout(this.timer);
  }
}

export default {
  render({ model, el }) {
    const view = new SheetView(el, (name, value) => model.send({ type: "gesture", name, value }));
    const show = () => {
      const { number, sheet, moves } = model.get("shown");
      view.show(sheet ?? {}, moves);
      if (number) requestAnimationFrame(() => setTimeout(() => model.send({ type: "receipt", number }), 0));
    };
    show();
    model.on("change:shown", show);
    return () => {
      view.close();
      model.off("change:shown", show);
    };
  },
};
