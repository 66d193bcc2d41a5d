// A recorded query: step, play, tabs and delay, over sheets that were laid out when the page was saved.

const INTERVALS = { "½×": 2000, "1×": 1000, "2×": 500, "5×": 200 };
const packed = Uint8Array.from(atob(document.getElementById("sn-data").textContent), (letter) => letter.charCodeAt(0));
const data = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
const { pool } = data;

// A list is told by what it shares with the one before: its beginning, what is new, its end.
function listOf([start, middle, end], before) {
  return [...before.slice(0, start), ...middle, ...before.slice(before.length - end)];
}

function unpacked(frames) {
  let lists = [];
  return frames.map(({ sheet, lists: told }) => {
    lists = told.map((list, i) => listOf(list, lists[i] ?? []));
    return { sheet, lists };
  });
}

function sheetOf({ sheet, lists }) {
  const fill = (value) => {
    if (Array.isArray(value)) return value.map(fill);
    if (value === null || typeof value !== "object") return value;
    if ("@" in value) return lists[value["@"]].map((n) => pool[n]);
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, fill(inner)]));
  };
  return fill(sheet);
}

const mapped = (object, how) => Object.fromEntries(Object.entries(object).map(([name, value]) => [name, how(value)]));
const runs = data.runs.map((run) => ({
  ...run,
  views: mapped(run.views, unpacked),
  choices: mapped(run.choices, (controls) => mapped(controls, (values) => mapped(values, unpacked))),
}));
// A figure that follows no query has a sheet for each setting that was recorded, and steps through one of its controls.
const { settings, stops } = runs[0];
const [steps] = Object.keys(stops);
const state = { run: data.start, view: Object.keys(runs[0].views)[0], at: Infinity, timer: undefined, chosen: {}, sheet: 0 };
if (settings.length) Object.assign(state, { run: 0, sheet: data.start, at: steps ? placeOf(data.start) : 0 });

const find = (id) => document.getElementById(id);
const offered = new Set([...Object.keys(stops), ...runs.flatMap(({ choices }) => Object.values(choices).flatMap(Object.keys))]);
const clicked = Boolean(steps); // a mark stands for a choice
const view = new SheetView(find("sn-sheet"), choose, offered, clicked);
document.body.toggleAttribute("data-picks", clicked);

function placeOf(sheet) {
  return stops[steps].indexOf(settings[sheet][steps]);
}

// Of the settings recorded, the one with this value that differs least in all else.
function nearest(name, value) {
  const unlike = (one) => Object.keys(one).filter((other) => other !== name && one[other] !== settings[state.sheet][other]).length;
  const found = [...settings.keys()].filter((i) => settings[i][name] === value);
  return found.sort((a, b) => unlike(settings[a]) - unlike(settings[b]))[0] ?? state.sheet;
}

function choose(name, value) {
  if (!settings.length) state.chosen[state.view] = [name, value];
  else {
    const control = stops[name] ? name : Object.keys(stops).find((other) => stops[other].includes(value));
    if (!control) return;
    pause();
    state.sheet = nearest(control, isSlider(control) ? stops[control][value] : value);
    state.at = placeOf(state.sheet);
  }
  show();
}

const isSlider = (name) => typeof stops[name]?.[0] === "number";

// Controls have as many places as were recorded.
function withStops(sheet) {
  const parts = sheet.parts.map((part) => {
    const there = stops[part.name];
    if (!there) return part;
    if (part.kind === "slider") return { ...part, low: 0, high: there.length - 1, step: 1, value: there.indexOf(part.value) };
    return { ...part, options: part.options.filter(([value]) => there.includes(value)) };
  });
  return { ...sheet, parts };
}

function frames() {
  const { views, choices } = runs[state.run];
  const [name, value] = state.chosen[state.view] ?? [];
  return choices[state.view]?.[name]?.[value] ?? views[state.view];
}

function sheetNow() {
  if (settings.length) return withStops(sheetOf(frames()[state.sheet]));
  return sheetOf(frames()[Math.min(state.at, frames().length - 1)]);
}

const places = () => (settings.length ? (stops[steps] ?? [0]) : runs[state.run].batches);

function where(sheet) {
  const there = places();
  if (!settings.length) return there.length ? `batch ${there[state.at]} of ${there[there.length - 1]}` : "no batch";
  if (!steps) return "";
  const part = sheet.parts.find(({ name }) => name === steps);
  if (!part) return String(there[state.at]); // a story's steps have names of their own
  return `${part.label} ${part.shown ?? part.options.find(([value]) => value === part.value)?.[1] ?? ""}`;
}

function show() {
  const last = places().length - 1;
  state.at = Math.max(0, Math.min(state.at, last));
  const sheet = sheetNow();
  find("sn-batch").max = last;
  find("sn-batch").value = state.at;
  find("sn-batch").style.setProperty("--fill", `${last ? (100 * state.at) / last : 0}%`);
  find("sn-where").textContent = where(sheet);
  find("sn-batch").setAttribute("aria-valuetext", find("sn-where").textContent);
  find("sn-delay-told").textContent = runs[state.run].label;
  for (const tab of document.querySelectorAll("[role=tab]")) tab.setAttribute("aria-selected", String(tab.dataset.tab === state.view));
  view.show(sheet);
}

// Goes to a place of the bar.
function move(at) {
  state.at = Math.max(0, Math.min(at, places().length - 1));
  if (stops[steps]) state.sheet = nearest(steps, stops[steps][state.at]);
  show();
}

function look(at) {
  pause();
  move(at);
}

function pause() {
  clearInterval(state.timer);
  state.timer = undefined;
  find("sn-play").textContent = "▶ play";
}

function play() {
  if (state.timer) return pause();
  const last = places().length - 1;
  if (state.at >= last) state.at = -1;
  find("sn-play").textContent = "❚❚ pause";
  state.timer = setInterval(() => {
    move(state.at + 1);
    if (state.at >= last) pause();
  }, INTERVALS[find("sn-speed").value]);
}

find("sn-back").onclick = () => look(state.at - 1);
find("sn-step").onclick = () => look(state.at + 1);
find("sn-play").onclick = play;
find("sn-speed").onchange = () => state.timer && (pause(), play());
find("sn-batch").oninput = () => look(Number(find("sn-batch").value));
find("sn-delay").oninput = () => {
  const now = runs[state.run].times[state.at];
  state.run = Number(find("sn-delay").value);
  state.at = runs[state.run].times.findLastIndex((time) => time <= now); // other delays have other batches
  show();
};
find("sn-theme").onclick = () => {
  const { dataset } = document.body;
  const dark = dataset.jpThemeLight ? dataset.jpThemeLight === "false" : matchMedia("(prefers-color-scheme: dark)").matches;
  dataset.jpThemeLight = String(dark);
};
find("sn-tabs").onclick = (event) => {
  const name = event.target.dataset.tab;
  if (!name) return;
  state.view = name;
  show();
};
addEventListener("keydown", (event) => {
  if (["INPUT", "SELECT"].includes(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
  const actions = { ArrowLeft: () => look(state.at - 1), ArrowRight: () => look(state.at + 1), Home: () => look(0), End: () => look(Infinity), p: play };
  if (!actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
});
for (const speed of Object.keys(INTERVALS)) find("sn-speed").append(Object.assign(document.createElement("option"), { textContent: speed, selected: speed === "2×" }));
for (const name of Object.keys(runs[0].views)) {
  const tab = Object.assign(document.createElement("button"), { type: "button", textContent: name });
  tab.setAttribute("role", "tab");
  tab.dataset.tab = name;
  find("sn-tabs").append(tab);
}
find("sn-tabs").hidden = Object.keys(runs[0].views).length < 2;
find("sn-delay").max = runs.length - 1;
find("sn-delay").value = state.run;
find("sn-delay-box").hidden = runs.length < 2;
find("sn-bar").hidden = places().length < 2;
show();
document.body.dataset.ready = "true"; // for a page that has this one in a frame
dispatchEvent(new Event("sn-ready"));
