// Masks as flat arrays, row by row, one byte a pixel: 0 or 1. Nothing here knows the page.
const masks = {
  /** Pixels of COCO compressed run lengths, which run down the columns. */
  decode(text, [height, width]) {
    const mask = new Uint8Array(height * width);
    let before = 0, last = 0, index = 0, row = 0, column = 0;
    for (let at = 0; at < text.length; index++) {
      let value = 0, shift = 0, code;
      do {
        code = text.charCodeAt(at++) - 48;
        value |= (code & 31) << shift;
        shift += 5;
      } while (code & 32);
      if (code & 16 && shift < 32) value |= -1 << shift;
      // From the fourth number on, each is the change to the number two places before.
      const count = index > 2 ? value + before : value;
      [before, last] = [last, count];
      for (let left = count; left > 0; ) {
        const step = Math.min(left, height - row);
        if (index % 2) for (let p = row * width + column, end = p + step * width; p < end; p += width) mask[p] = 1;
        left -= step;
        row += step;
        if (row === height) { row = 0; column++; }
      }
    }
    return mask;
  },

  /** The smallest box [left, top, right, bottom] that holds every pixel that is not 0; [0, 0, 0, 0] without any. */
  box(mask, width) {
    let first = 0, last = mask.length - 1;
    while (first <= last && !mask[first]) first++;
    if (first > last) return [0, 0, 0, 0];
    while (!mask[last]) last--;
    const top = Math.floor(first / width), bottom = Math.floor(last / width) + 1;
    let left = width, right = 0;
    for (let y = top; y < bottom; y++) {
      const start = y * width, end = start + width;
      for (let p = start; p < start + left; p++) if (mask[p]) { left = p - start; break; }
      for (let p = end - 1; p >= start + right; p--) if (mask[p]) { right = p - start + 1; break; }
    }
    return [left, top, right, bottom];
  },

  area(mask) {
    let sum = 0;
    for (let p = 0; p < mask.length; p++) sum += mask[p] ? 1 : 0;
    return sum;
  },

  /** How many pixels each class has, of classes from 1. */
  tally(classes, count) {
    const sums = new Array(count + 1).fill(0);
    for (let p = 0; p < classes.length; p++) sums[classes[p]]++;
    return sums.slice(1);
  },

  /** Intersection over union; two empty masks are alike. */
  overlap(first, second) {
    let both = 0, either = 0;
    for (let p = 0; p < first.length; p++) {
      both += first[p] & second[p];
      either += first[p] | second[p];
    }
    return either ? both / either : 1;
  },

  /** Weighted sum of masks; `terms` are pairs of weight and mask. */
  count(terms, size) {
    const votes = new Uint32Array(size[0] * size[1]);
    for (const [weight, mask] of terms) for (let p = 0; p < votes.length; p++) votes[p] += weight * mask[p];
    return votes;
  },

  keep(votes, threshold) {
    const kept = new Uint8Array(votes.length);
    for (let p = 0; p < votes.length; p++) kept[p] = votes[p] >= threshold ? 1 : 0;
    return kept;
  },

  /** Class of every pixel, 0 for none: 1 + the place in `classes` of the first test that holds. */
  classify(length, classes) {
    const found = new Uint8Array(length);
    classes.forEach((holds, place) => {
      for (let p = 0; p < length; p++) if (!found[p] && holds(p)) found[p] = place + 1;
    });
    return found;
  },
};
