/** How pictures share a room: a whole number of device pixels for each of theirs, nothing resampled. Pure functions. */

/** @typedef {{width: number, height: number}} Size */
/** @typedef {Record<string, number[]>} Layouts [columns, rows] by name */
/** @typedef {Size & {ratio: number, size: number}} Room in CSS pixels, and how many of them a picture is to fill */
/** @typedef {{beside: number, below: number}} Taken what padding, name and gap take for each column and row */
/** @typedef {{layout: string, scale: number, view: Size}} Arrangement scale 0 where there is no room */

// Of pictures that are larger than their room a part is shown, no smaller than this many CSS pixels either way: two abreast
// on a small phone.
const LEAST_VIEW = 120;

/**
 * How many device pixels a picture's pixel gets where `columns` by `rows` of them share a room: as many as bring its
 * longer side nearest to `size` CSS pixels, if they fit, but at least one; 0 where not even one does.
 *
 * @param {Size} picture
 * @param {Room & {columns: number, rows: number}} room
 */
export function scaleFor(picture, { width, height, columns, rows, ratio, size }) {
  const across = (width * ratio) / columns - 1;
  const down = (height * ratio) / rows - 1;
  const fits = Math.floor(Math.min(across / picture.width, down / picture.height));
  const wanted = Math.round((size * ratio) / Math.max(picture.width, picture.height));
  return Math.max(0, Math.min(fits, Math.max(1, wanted)));
}

/**
 * The layout that makes whole pictures largest, and their scale; 0 where not even 1:1 has room.
 *
 * @param {Size} picture
 * @param {Layouts} layouts
 * @param {Room} room
 * @param {Taken} taken
 * @returns {Arrangement}
 */
export function arrangeWhole(picture, layouts, room, { beside, below }) {
  const found = Object.entries(layouts).map(([layout, [columns, rows]]) => {
    const left = { ...room, width: room.width - columns * beside, height: room.height - rows * below };
    return { layout, scale: scaleFor(picture, { ...left, columns, rows }), view: picture };
  });
  return found.reduce((best, one) => (one.scale > best.scale ? one : best));
}

/**
 * The layout that shows the largest part of pictures at 1:1; scale 0 where no layout shows enough of them.
 *
 * @param {Size} picture
 * @param {Layouts} layouts
 * @param {Room} room
 * @param {Taken} taken
 * @returns {Arrangement}
 */
export function arrangePart(picture, layouts, room, taken) {
  const least = leastView(picture, room.ratio, true);
  const found = Object.keys(layouts).map((layout) => {
    const view = partOf(picture, roomOfOne(layouts[layout], room, taken), 1);
    return { layout, scale: Number(view.width >= least.width && view.height >= least.height), view };
  });
  /** @param {Arrangement} one */
  const worth = ({ scale, view }) => scale * view.width * view.height;
  return found.reduce((best, one) => (worth(one) > worth(best) ? one : best));
}

/**
 * Device pixels that each picture of a layout has for itself.
 *
 * @param {number[]} layout
 * @param {Room} room
 * @param {Taken} taken
 * @returns {Size}
 */
export function roomOfOne([columns, rows], { width, height, ratio }, { beside, below }) {
  const across = ((width - columns * beside) * ratio) / columns;
  const down = ((height - rows * below) * ratio) / rows;
  return { width: Math.max(1, Math.floor(across - 1)), height: Math.max(1, Math.floor(down - 1)) };
}

/**
 * The part of a picture that so many device pixels show at a scale.
 *
 * @param {Size} picture
 * @param {Size} available
 * @param {number} scale
 * @returns {Size}
 */
export function partOf(picture, available, scale) {
  return {
    width: Math.max(1, Math.min(picture.width, Math.floor(available.width / scale))),
    height: Math.max(1, Math.min(picture.height, Math.floor(available.height / scale))),
  };
}

/**
 * The smallest room in CSS pixels that is enough for a picture in one of some layouts.
 *
 * @param {Size} picture
 * @param {Layouts} layouts
 * @param {number} ratio
 * @param {Taken} taken
 * @param {boolean} movable
 * @returns {Size}
 */
export function leastRoom(picture, layouts, ratio, { beside, below }, movable) {
  const least = leastView(picture, ratio, movable);
  const rooms = Object.values(layouts).map(([columns, rows]) => ({
    width: Math.ceil(columns * (beside + (least.width + 1) / ratio)),
    height: Math.ceil(rows * (below + (least.height + 1) / ratio)),
  }));
  return rooms.reduce((best, one) => (one.width * one.height < best.width * best.height ? one : best));
}

/**
 * @param {Size} picture
 * @param {number} ratio
 * @param {boolean} movable
 * @returns {Size}
 */
function leastView(picture, ratio, movable) {
  const part = movable ? Math.round(LEAST_VIEW * ratio) : Infinity;
  return { width: Math.min(picture.width, part), height: Math.min(picture.height, part) };
}
