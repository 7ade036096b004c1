// Colours that stay apart for normal, red-blind and green-blind eyes; dashes tell further lines apart.
const palette = {
  colours: ["#0078b4", "#e1a500", "#d25a00", "#5ae1c3", "#0000ff", "#783c3c", "#78d2ff", "#c3c378", "#009696", "#961e00", "#7896ff", "#782d78"],
  dashes: ["", "7 3", "2 3", "9 3 2 3"],

  colour(index) {
    return palette.colours[index % palette.colours.length];
  },

  dash(index) {
    return palette.dashes[Math.floor(index / palette.colours.length) % palette.dashes.length];
  },

  channels(colour) {
    return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  },
};
