// What refinements and tracklets say of the shown expression.
const panels = {
  opened: new Map(),
  alone: new Map(),

  draw(shown) {
    const parts = report.nodes.flatMap((node, place) => [
      ...(shown.view.refinements[place] ? [panels.refinement(shown, node, place)] : []),
      ...(shown.view.tracklets[place] ? [panels.tracklets(shown, node, place)] : []),
    ]);
    byId("panels").replaceChildren(...parts);
  },

  /** A part that stays open or closed when the frame changes. */
  part(title, name, ...children) {
    const made = make("details", { "data-name": name, open: panels.opened.get(name) ?? true }, make("summary", {}, title), ...children);
    made.addEventListener("toggle", () => panels.opened.set(name, made.open));
    return made;
  },

  /** What a refinement did with the sentence: a row for every window, the one of the shown frame marked. */
  refinement(shown, node, place) {
    const record = shown.view.refinements[place][shown.place];
    const named = (masklets) => (masklets.length ? masklets.join(" + ") : "none");
    const { windows_refined: refined, frames_changed: changed } = record.totals;
    const rows = record.windows.map((window) => [
      `${window.first} to ${window.last}`,
      window.votes.map((vote) => `${named(vote.masklets)}: ${vote.frames}`).join(", "),
      named(window.selected), window.tie ?? "", window.reason, window.iou.toFixed(2),
    ]);
    const caption = `noun "${record.noun}" (${record.noun_source}), ${counted(record.n_masklets, "masklet")}; ${Math.round(100 * refined)} % of the windows refined, ${Math.round(100 * changed)} % of the frames changed`;
    const made = table(caption, ["window", "votes", "selected", "tie", "reason", "IoU with coarse"], rows);
    record.windows.forEach((window, index) => {
      const [first, last] = [window.first, window.last].map((frame) => shown.view.frames.indexOf(frame));
      if (first <= state.frame && state.frame <= last) made.tBodies[0].rows[index].className = "now";
    });
    return panels.part(`Refinement ${node.name}`, node.name, make("div", { class: "scroll" }, made));
  },

  /** The nodes that read these tracklets and gave the sentence exactly this one. */
  choosers(shown, node, tracklet) {
    const readers = maskNodes.filter((place) => report.nodes[place].inputs.includes(node.name) && shown.sequence(place));
    return readers.filter((place) => String(shown.sequence(place).masks) === String(tracklet.masks)).map((place) => report.nodes[place].name).join(", ");
  },

  /** How nodes scored these tracklets for the sentence: [node, what scored, [scores, place of the chosen one, why none]]. */
  groundings(shown, place) {
    return shown.view.groundings.flatMap((one, node) => (one && one.tracklets === place && one.rows[shown.place] ? [[report.nodes[node].name, one.by, one.rows[shown.place]]] : []));
  },

  /** What a grounding decided, in words. */
  decision(name, by, [scores, chosen, why], own) {
    const words = { below_gate: "no score reaches the gate, the fallback answers", no_candidate: "there is no candidate, the fallback answers" };
    const best = chosen === null ? (words[why] ?? "none was chosen") : `${own[chosen].id} was chosen with ${scores[chosen].toFixed(3)}`;
    return make("p", { class: "hint", "data-grounding": name }, `${name}, by ${by}: ${best}`);
  },

  /** The instances of a video in colours of their own; a row's button shows one alone. */
  tracklets(shown, node, place) {
    const own = shown.view.tracklets[place];
    const grounded = panels.groundings(shown, place);
    const alone = panels.alone.get(node.name) ?? null;
    const size = shown.view.size;
    const classes = new Uint8Array(size[0] * size[1]);
    const b = shown.maskOf(state.b, state.frame);
    const rows = own.map((one, index) => {
      const mask = shown.mask(one.masks[state.frame]);
      if (alone === null || alone === one.id) for (let p = 0; p < mask.length; p++) if (mask[p]) classes[p] = index % 250 + 1;
      const toggle = button(alone === one.id ? "all" : "alone", () => { panels.alone.set(node.name, alone === one.id ? null : one.id); panels.draw(shown); }, { "aria-label": `show ${one.id} alone` });
      return [
        make("span", {}, swatch(palette.colour(index)), one.id), one.label, one.detector, one.confidence.toFixed(2), shown.view.frames[one.key_frame],
        one.propagation[state.frame].toFixed(2), String(masks.area(mask)), b ? masks.overlap(mask, b).toFixed(2) : "", panels.choosers(shown, node, one),
        ...grounded.map(([, , [scores, chosen]]) => (chosen === index ? make("strong", {}, scores[index].toFixed(3)) : scores[index].toFixed(3))), toggle,
      ];
    });
    const host = make("div", { class: "picture" });
    new Picture(host, `tracklets of ${node.name}`).paint(shown.picture(state.frame), size, classes, own.slice(0, 250).map((_, index) => palette.colour(index)));
    const heads = ["tracklet", "noun", "detector", "confidence", "key frame", "propagation", "pixels", "IoU with B", "chosen by", ...grounded.map(([name]) => `score of ${name}`), ""];
    const decisions = grounded.map(([name, by, row]) => panels.decision(name, by, row, own));
    const made = make("div", { class: "tracklets" }, host, make("div", { class: "scroll" }, ...decisions, table(`${counted(own.length, "tracklet")}, numbers of frame ${shown.view.frames[state.frame]}`, heads, rows)));
    return panels.part(`Tracklets of ${node.name}`, node.name, made);
  },
};
