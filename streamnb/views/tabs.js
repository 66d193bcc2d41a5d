// A row of tabs: arrow keys move between them, as in every other row of tabs.

function note(button, told) {
  button.querySelector(".sn-note")?.remove();
  if (!told) return;
  const [number, words] = told;
  const mark = document.createElement("span");
  mark.className = "sn-note";
  mark.textContent = `! ${number}`;
  mark.title = `${number} ${words}`;
  mark.setAttribute("aria-label", mark.title);
  button.append(mark);
}

export default {
  render({ model, el }) {
    const list = document.createElement("div");
    list.className = "sn-tabs";
    list.setAttribute("role", "tablist");
    list.setAttribute("aria-label", "Views");
    const choose = (name) => model.send({ name });
    const buttons = model.get("names").map((name) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.dataset.tab = name;
      button.setAttribute("role", "tab");
      button.onclick = () => choose(name);
      return button;
    });
    list.append(...buttons);
    list.onkeydown = (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      const at = buttons.indexOf(event.target);
      if (!step || at < 0) return;
      event.preventDefault();
      event.stopPropagation();
      const next = buttons[(at + step + buttons.length) % buttons.length];
      next.focus();
      choose(next.dataset.tab);
    };
    el.classList.add("sn");
    el.append(list);
    const show = () => {
      for (const button of buttons) {
        const isOpen = button.dataset.tab === model.get("chosen");
        button.setAttribute("aria-selected", String(isOpen));
        button.tabIndex = isOpen ? 0 : -1;
        note(button, model.get("notes")[button.dataset.tab]);
      }
    };
    show();
    model.on("change:chosen change:notes", show);
    return () => model.off("change:chosen change:notes", show);
  },
};
