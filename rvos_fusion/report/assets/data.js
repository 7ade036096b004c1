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
    if (node === "truth") return this.truth(frame, place);
    if (node === "vote") return voteMask(this.at(place), frame);
    const sequence = this.sequence(node, place);
    return sequence ? this.mask(sequence.masks[frame]) : null;
  }

  /** The same video with another expression. */
  at(place) {
    return place === this.place ? this : new Shown(this.row, this.view, place);
  }

  truth(frame, place = this.place) {
    // Of single annotated frames, nothing is known of the frames around them.
    const index = this.view.truth?.[place][frame] ?? null;
    return index === null ? null : this.mask(index);
  }

  picture(frame) {
    return rvosReport.address(this.view.pictures[frame]);
  }
}
