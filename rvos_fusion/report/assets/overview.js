// Scores, sweeps and the graph.
const overview = {
  drawn: false,

  draw() {
    if (overview.drawn) return;
    overview.drawn = true;
    const ladders = report.ladders.map(overview.ladder);
    byId("ladder-table").replaceChildren(...(ladders.length ? [make("h2", {}, "Scores")] : []), make("div", { class: "ladders" }, ...ladders), ...report.notes.map((note) => make("p", { class: "hint" }, note)));
    byId("sweeps").replaceChildren(...report.curves.map(sweepFigure));
    alone.draw();
    byId("graph-drawing").replaceChildren(...overview.sides().map(overview.graph));
  },

  ladder({ title, rows }) {
    const heads = rows[0].figures.map(([name]) => name);
    const made = table(title, ["node", ...heads, heads.includes("J&F") ? "gain" : "gain, mean IoU", "95 % interval"], rows.map((row) => [
      row.input_of ? `${row.input_of} against its input ${row.node}` : row.node,
      ...row.figures.map(([, value]) => number(value)), signed(row.gain),
      row.low === null ? "" : `${signed(row.low)} to ${signed(row.high)}`,
    ]));
    rows.forEach((row, index) => {
      if (row.low === null) return;
      made.tBodies[0].rows[index].cells[heads.length + 1].className = row.low > 0 ? "better" : row.high < 0 ? "worse" : "";
    });
    return made;
  },

  sides() {
    const names = [...new Set(report.nodes.map((node) => node.side))];
    return names.map((side) => report.nodes.filter((node) => node.side === side));
  },

  /** Columns by the longest way from a node without inputs. */
  columns(nodes) {
    const known = new Map(nodes.map((node) => [node.name, node]));
    const depth = new Map();
    const find = (name) => {
      if (!depth.has(name)) depth.set(name, Math.max(-1, ...known.get(name).inputs.filter((input) => known.has(input)).map(find)) + 1);
      return depth.get(name);
    };
    nodes.forEach((node) => find(node.name));
    return depth;
  },

  graph(nodes) {
    const [boxWidth, boxHeight, gapX, gapY] = [170, 54, 60, 14];
    const depth = overview.columns(nodes);
    const filled = new Map();
    const place = new Map();
    for (const node of nodes) {
      const column = depth.get(node.name);
      const row = filled.get(column) ?? 0;
      filled.set(column, row + 1);
      place.set(node.name, [10 + column * (boxWidth + gapX), 10 + row * (boxHeight + gapY)]);
    }
    const width = 20 + (Math.max(0, ...depth.values()) + 1) * (boxWidth + gapX);
    const height = 20 + Math.max(1, ...filled.values()) * (boxHeight + gapY);
    const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": `graph of the recipe, ${counted(nodes.length, "node")}` });
    for (const node of nodes) {
      const [toX, toY] = place.get(node.name);
      for (const name of node.inputs.filter((input) => place.has(input))) {
        const [fromX, fromY] = place.get(name);
        const [x1, y1, x2, y2] = [fromX + boxWidth, fromY + boxHeight / 2, toX, toY + boxHeight / 2];
        svg.append(draw("path", { class: "edge", d: `M${x1},${y1} C${x1 + gapX / 2},${y1} ${x2 - gapX / 2},${y2} ${x2},${y2}` }));
      }
    }
    svg.append(...nodes.map((node) => overview.box(node, place.get(node.name), boxWidth, boxHeight)));
    return svg;
  },

  box(node, [x, y], width, height) {
    const short = (text) => (text.length > 27 ? `${text.slice(0, 26)}…` : text);
    const seconds = node.seconds === null ? "" : `, ${node.seconds.toFixed(1)} s`;
    return draw("g", { class: `node ${node.state}`, transform: `translate(${x},${y})` },
      draw("title", {}, `${node.name}: ${node.kind} of ${node.stage}: ${node.detail}`),
      draw("rect", { width, height }),
      draw("rect", { width: 5, height, style: `fill:${palette.colour(placeOf.get(node.name))};stroke:none` }),
      draw("text", { x: 14, y: 18 }, short(node.name)),
      draw("text", { class: "small", x: 14, y: 32 }, short(node.detail)),
      draw("text", { class: "small", x: 14, y: 45 }, `${node.kind}, ${node.state}${seconds}`));
  },
};
