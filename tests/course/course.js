// The theme of the page and of the figures in it, and frames as high as what is in them.
const frames = [...document.querySelectorAll("iframe")];
const dark = matchMedia("(prefers-color-scheme: dark)");

function paint() {
  for (const body of [document.body, ...frames.map((frame) => frame.contentDocument?.body)]) {
    if (body) body.dataset.jpThemeLight = String(!state.dark);
  }
}

const state = { dark: dark.matches };
dark.onchange = () => {
  state.dark = dark.matches;
  paint();
};
document.getElementById("theme").onclick = () => {
  state.dark = !state.dark;
  paint();
};
// A figure begins where it stood when the lesson first showed it.
function begin(slider, at) {
  slider.value = at;
  slider.dispatchEvent(new Event("input"));
}

function fit(frame) {
  const { body } = frame.contentDocument;
  const slider = frame.contentDocument.getElementById("sn-batch");
  if (!slider) return; // not loaded yet
  body.style.padding = "4px 2px";
  for (const own of body.querySelectorAll("#sn-theme, .sn-made")) own.hidden = true; // the page around it has its own
  const start = () => frame.dataset.at && begin(slider, frame.dataset.at);
  if (body.dataset.ready) start();
  else frame.contentWindow.addEventListener("sn-ready", start, { once: true }); // its data are still being unpacked
  const resize = () => (frame.style.height = `${body.scrollHeight + 8}px`);
  frame.watching?.disconnect();
  frame.watching = new ResizeObserver(resize);
  frame.watching.observe(body);
  resize();
  paint();
}
for (const frame of frames) {
  frame.onload = () => fit(frame);
  if (frame.contentDocument?.readyState === "complete") fit(frame);
}
paint();
