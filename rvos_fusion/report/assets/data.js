// The index of the page, and the parts of its videos: scripts that are added when a video is shown.
const report = JSON.parse(byId("report-data").textContent);
const placeOf = new Map(report.nodes.map((node, place) => [node.name, place]));

const rvosReport = {
  kept: new Map(),
  waiting: new Map(),
  most: 4,

  /** Called by the script of a part. */
  receive(part, view) {
    rvosReport.waiting.get(part)?.(view);
  },

  /** The part of a video; few are kept, so that hundreds can be looked at in one sitting. */
  load(row) {
    const known = rvosReport.kept.get(row.part);
    rvosReport.kept.delete(row.part);
    const promise = known ?? rvosReport.request(row);
    rvosReport.kept.set(row.part, promise);
    for (const part of rvosReport.kept.keys()) if (rvosReport.kept.size > rvosReport.most) rvosReport.kept.delete(part);
    if (!known) promise.catch(() => rvosReport.kept.delete(row.part));
    return promise;
  },

  request(row) {
    return new Promise((resolve, reject) => {
      const script = make("script", { src: rvosReport.address(`videos/${row.part}.js`) });
      const finish = (view) => {
        rvosReport.waiting.delete(row.part);
        script.remove();
        if (!view) reject(new Error(`${report.files}/videos/${row.part}.js is missing: move the page together with its folder ${report.files}`));
        else if (view.id !== row.id || view.frames.length !== row.n_frames || view.sequences.length !== report.nodes.length) reject(new Error(`${report.files} belongs to another page: run rvos report again`));
        else resolve(view);
      };
      rvosReport.waiting.set(row.part, finish);
      script.addEventListener("error", () => finish(null));
      script.addEventListener("load", () => rvosReport.waiting.get(row.part)?.(null));
      document.head.append(script);
    });
  },

  address(path) {
    return `${encodeURIComponent(report.files)}/${path}`;
  },
};

/** What is asked of one expression: its video's row and part, its place, and its masks by node and frame. */
class Shown {
  constructor(row, view, place) {
    Object.assign(this, { row, view, place, expression: row.expressions[place], decoded: new Map() });
  }

  sequence(node, place = this.place) {
    return this.view.sequences[node]?.[place] ?? null;
  }

  /** A mask of the part; those of the shown frame are decoded once. */
  mask(index) {
    if (this.decoded.size > 200) this.decoded.clear();
    if (!this.decoded.has(index)) this.decoded.set(index, masks.decode(this.view.masks[index], this.view.size));
    return this.decoded.get(index);
  }

  maskOf(node, frame, place = this.place) {
    const sequence = this.sequence(node, place);
    return sequence ? this.mask(sequence.masks[frame]) : null;
  }

  truth(frame) {
    // Of single annotated frames, nothing is known of the frames around them.
    const index = this.view.truth?.[this.place][frame] ?? null;
    return index === null ? null : this.mask(index);
  }

  picture(frame) {
    return rvosReport.address(this.view.pictures[frame]);
  }
}

/** The group of an expression in what a node votes by; null where it has none. */
function groupOf(row, node, place) {
  const grouping = report.nodes[node]?.grouping;
  if (grouping === null || grouping === undefined) return null;
  return row.groups[grouping]?.find((group) => group.expressions.includes(place)) ?? null;
}

/** What votes on the shown expression, as [weight, input, expression]; who abstains does not. Null: it has no group. */
function votersOf(shown, node) {
  const { weights, inputs, only } = report.nodes[node];
  const group = groupOf(shown.row, node, shown.place)?.expressions;
  if (!group) return null;
  if (group.length === 1 && only !== null) return [[1, placeOf.get(inputs[only]), group[0]]];
  const all = group.flatMap((place) => weights.map((weight, index) => [weight, placeOf.get(inputs[index]), place]));
  return all.filter(([, input, place]) => !shown.sequence(input, place)?.abstains);
}

/** Votes that the shown expression has and needs, as [most, needed]; null where the node counts none of it. */
function votesOf(shown, node) {
  const voters = votersOf(shown, node);
  if (!voters) return null;
  const size = groupOf(shown.row, node, shown.place).expressions.length;
  if (size === 1 && report.nodes[node].only !== null) return [1, 1];
  const most = voters.reduce((sum, [weight]) => sum + weight, 0);
  const needs = report.nodes[node].needs.find(([own, votes]) => own === size && votes === most);
  return needs ? needs.slice(1) : null;
}

/** Weights and masks of everything that votes on the shown expression in a frame. */
function ballotOf(shown, node, frame) {
  const terms = votersOf(shown, node).map(([weight, input, place]) => [weight, shown.maskOf(input, frame, place)]);
  return terms.filter(([, mask]) => mask);
}
