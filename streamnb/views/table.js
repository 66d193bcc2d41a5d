// The result as a table. Every value is set as text, never as HTML.

const MARKS = { new: ["+", "new row"], changed: ["", "changed row"] };

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function headOf(columns) {
  const row = make("tr");
  row.append(make("th", "sn-mark"));
  for (const [name, note, numeric] of columns) {
    const cell = make("th", numeric ? "sn-right" : "", name);
    cell.scope = "col";
    if (note) cell.append(make("span", "", note));
    row.append(cell);
  }
  return row;
}

function rowOf([mark, cells], columns) {
  const row = make("tr");
  const [sign, label] = MARKS[mark] ?? [""];
  const first = make("td", "sn-mark", sign);
  if (mark) row.dataset.mark = mark;
  if (label) first.setAttribute("aria-label", label);
  row.append(first, ...cells.map((cell, i) => valueOf(cell, columns[i][2])));
  return row;
}

function valueOf([text, was], numeric) {
  const cell = make("td", numeric ? "sn-right" : "");
  if (was !== null) cell.append(make("del", "", was));
  cell.append(text === "null" ? make("span", "sn-null", text) : text);
  return cell;
}

export default {
  render({ model, el }) {
    const root = make("section", "sn-table");
    const title = make("p", "sn-title");
    const scroll = make("div", "sn-scroll");
    const table = make("table");
    const head = make("thead");
    const body = make("tbody");
    scroll.tabIndex = 0;
    table.append(head, body);
    scroll.append(table);
    root.append(title, scroll);
    el.classList.add("sn");
    el.append(root);

    // New rows come at the end: a reader who is there stays there.
    let atEnd = true;
    scroll.onscroll = () => (atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 8);
    const show = () => {
      const { title: words = "", columns = [], rows = [] } = model.get("shown");
      root.hidden = !columns.length;
      title.textContent = words;
      scroll.setAttribute("aria-label", words);
      head.replaceChildren(headOf(columns));
      body.replaceChildren(...rows.map((row) => rowOf(row, columns)));
      if (atEnd) scroll.scrollTop = scroll.scrollHeight;
    };
    show();
    model.on("change:shown", show);
    return () => model.off("change:shown", show);
  },
};
