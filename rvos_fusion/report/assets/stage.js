// Pictures with masks over them. The picture's pixels are never read: a page opened from disk may not.

/** A picture and a canvas over it. */
class Picture {
  constructor(host, label) {
    this.host = host;
    this.image = make("img", { alt: "" });
    this.canvas = make("canvas", { role: "img", "aria-label": label });
    this.layer = make("div", { class: "layer" }, this.image, this.canvas);
    host.replaceChildren(this.layer);
  }

  /**
   * @param source address of the picture
   * @param classes one byte a pixel: 0 for nothing, else 1 + a place in `colours`
   */
  paint(source, [height, width], classes, colours) {
    if (this.image.getAttribute("src") !== source) this.image.src = source;
    this.host.style.aspectRatio = `${width} / ${height}`;
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    const [left, top, right, bottom] = masks.box(classes, width);
    if (right <= left) return;
    // Of the part that holds something: most masks are small.
    const drawn = new ImageData(right - left, bottom - top);
    const pixels = new Uint32Array(drawn.data.buffer);
    const tints = colours.map((colour) => {
      const [red, green, blue] = palette.channels(colour);
      return [0x80, 0xff].map((alpha) => ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0);
    });
    for (let y = top, to = 0; y < bottom; y++) {
      for (let x = left, at = y * width + left; x < right; x++, at++, to++) {
        const own = classes[at];
        if (!own) continue;
        const inner = x > 0 && y > 0 && x < width - 1 && y < height - 1
          && classes[at - 1] === own && classes[at + 1] === own && classes[at - width] === own && classes[at + width] === own;
        pixels[to] = tints[own - 1][inner ? 0 : 1];
      }
    }
    context.putImageData(drawn, left, top);
  }
}

const COLOURS = { a: "#0078b4", b: "#e1a500", both: "#ffffff", right: "#78d2ff", false: "#c04000", missed: "#fff59a" };

/** What the stage shows: classes of pixels with their colours and words. */
function compare(mode, a, b, truth) {
  const length = (a ?? b ?? truth).length;
  const empty = new Uint8Array(length);
  const [first, second, real] = [a ?? empty, b ?? empty, truth ?? empty];
  const errors = (mask) => [
    ["hit", COLOURS.right, (p) => mask[p] && real[p]],
    ["marked wrongly", COLOURS.false, (p) => mask[p] && !real[p]],
    ["missed", COLOURS.missed, (p) => !mask[p] && real[p]],
  ];
  const parts = {
    over: [["both", COLOURS.both, (p) => first[p] && second[p]], ["A alone", COLOURS.a, (p) => first[p]], ["B alone", COLOURS.b, (p) => second[p]]],
    change: [
      ["B mends", COLOURS.right, (p) => first[p] !== real[p] && second[p] === real[p]],
      ["B spoils", COLOURS.false, (p) => first[p] === real[p] && second[p] !== real[p]],
      ["wrong in both", COLOURS.missed, (p) => first[p] !== real[p]],
    ],
    "errors-a": errors(first),
    "errors-b": errors(second),
    a: [["A", COLOURS.a, (p) => first[p]]],
    b: [["B", COLOURS.b, (p) => second[p]]],
  }[mode];
  const classes = masks.classify(length, parts.map(([, , holds]) => holds));
  return { classes, colours: parts.map(([, colour]) => colour), names: parts.map(([name]) => name) };
}

const stage = {
  picture: new Picture(byId("stage"), "A and B"),
  zoom: 1,
  x: 0,
  y: 0,

  draw(shown) {
    const { frame } = state;
    const [a, b, truth] = [shown.maskOf(state.a, frame), shown.maskOf(state.b, frame), shown.truth(frame)];
    const needsTruth = state.mode === "change" || state.mode.startsWith("errors");
    const mode = needsTruth && !truth ? "over" : state.mode;
    const size = shown.view.size;
    const host = byId("stage");
    host.style.width = `min(100%, calc(66vh * ${size[1] / size[0]}))`;
    const found = a || b || truth ? compare(mode, a, b, truth) : { classes: new Uint8Array(size[0] * size[1]), colours: [], names: [] };
    stage.picture.paint(shown.picture(frame), size, found.classes, found.colours);
    const counts = masks.tally(found.classes, found.names.length);
    host.dataset.counts = JSON.stringify(Object.fromEntries(found.names.map((name, place) => [name, counts[place]])));
    const words = found.names.map((name, place) => `${name} ${counted(counts[place], "pixel")}`);
    stage.picture.canvas.setAttribute("aria-label", `frame ${shown.view.frames[frame]}: ${words.join(", ")}`);
    const items = found.names.map((name, place) => make("span", {}, swatch(found.colours[place]), `${name}: ${counts[place]} px`));
    const overlap = (name, mask) => (truth && mask ? [make("span", {}, `IoU of ${name} with the truth ${masks.overlap(mask, truth).toFixed(2)}`)] : []);
    byId("legend").replaceChildren(...items, ...overlap("A", a), ...overlap("B", b), ...(a && b ? [make("span", {}, `of A with B ${masks.overlap(a, b).toFixed(2)}`)] : []));
  },

  /** Zoom by a factor around a point of the stage, in parts of its sides. */
  scale(factor, [atX, atY] = [0.5, 0.5]) {
    const next = Math.min(16, Math.max(1, stage.zoom * factor));
    stage.x = atX - ((atX - stage.x) * next) / stage.zoom;
    stage.y = atY - ((atY - stage.y) * next) / stage.zoom;
    stage.zoom = next;
    stage.place();
  },

  fit() {
    Object.assign(stage, { zoom: 1, x: 0, y: 0 });
    stage.place();
  },

  place() {
    const limit = 1 - stage.zoom;
    stage.x = Math.min(0, Math.max(limit, stage.x));
    stage.y = Math.min(0, Math.max(limit, stage.y));
    stage.picture.layer.style.transform = `translate(${100 * stage.x}%, ${100 * stage.y}%) scale(${stage.zoom})`;
    byId("stage").classList.toggle("zoomed", stage.zoom > 1);
  },

  watch() {
    const host = byId("stage");
    host.addEventListener("wheel", (event) => {
      // The wheel alone scrolls the page, as everywhere else.
      if (!event.ctrlKey) return;
      event.preventDefault();
      const box = host.getBoundingClientRect();
      stage.scale(Math.exp(-event.deltaY / 200), [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]);
    }, { passive: false });
    host.addEventListener("pointerdown", (event) => { if (stage.zoom > 1) host.setPointerCapture(event.pointerId); });
    host.addEventListener("pointermove", (event) => {
      if (!host.hasPointerCapture(event.pointerId)) return;
      stage.x += event.movementX / host.clientWidth;
      stage.y += event.movementY / host.clientHeight;
      stage.place();
    });
    host.addEventListener("dblclick", () => (stage.zoom > 1 ? stage.fit() : stage.scale(4)));
    byId("zoom-in").addEventListener("click", () => stage.scale(1.6));
    byId("zoom-out").addEventListener("click", () => stage.scale(1 / 1.6));
    byId("zoom-fit").addEventListener("click", () => stage.fit());
  },
};
