// Elements made by code alone: what a file says becomes text, never markup.
const byId = (id) => document.getElementById(id);

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** An HTML element; children are elements or text. */
function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. */
function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function button(text, action, attributes = {}) {
  const made = make("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", action);
  return made;
}

/** A text with a button that copies it; where that is not allowed it stays selected for the keys of the system. */
function copyable(text, label) {
  const field = make("input", { type: "text", readonly: true, value: text, title: text.length < 200 ? text : null, "aria-label": label, class: "copyable" });
  const copy = () => {
    field.select();
    navigator.clipboard?.writeText(text).then(() => show("Copied."), () => document.execCommand("copy"));
  };
  return make("span", { class: "bar" }, field, button("copy", copy, { "aria-label": `copy ${label}` }));
}

function swatch(colour) {
  return make("span", { class: "swatch", style: `background:${colour}`, "aria-hidden": "true" });
}

/** Fill a choice with [value, text] pairs and keep or set what is chosen. */
function offer(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  select.value = String(chosen);
}

/** A table of texts; `rows` hold cells that are texts or elements. */
function table(caption, heads, rows) {
  const head = make("thead", {}, make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text))));
  const body = make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, cell)))));
  return make("table", {}, ...(caption ? [make("caption", {}, caption)] : []), head, body);
}

/** A count in words, as in "1 video" and "2 videos". */
const counted = (count, one) => `${count} ${one}${count === 1 ? "" : "s"}`;
const number = (value, digits = 1) => (value === null || value === undefined ? "" : value.toFixed(digits));
const signed = (value, digits = 1) => (value === null || value === undefined ? "" : `${value >= 0 ? "+" : ""}${value.toFixed(digits)}`);

/** Hand a text to the person as a file. */
function download(name, type, text) {
  const link = make("a", { download: name, href: URL.createObjectURL(new Blob([text], { type })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function show(message) {
  byId("status").textContent = message;
}
