/** @file Elements without markup: text is always text, and lists are updated in place. */

/**
 * An element. `props`: `on` (listeners by event), `data` and `aria` (by name), `hue` (a colour for CSS), the rest
 * attributes: true is set, false, null and undefined are left out. Children: nodes, text, or nothing.
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "on") Object.entries(value).forEach(([event, call]) => element.addEventListener(event, call));
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "aria") Object.entries(value).forEach(([key, said]) => element.setAttribute(`aria-${key}`, said));
    else if (name === "hue") element.style.setProperty("--hue", value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

/** Sets the text if it differs, so that selections and live regions are left alone. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Makes the container's children those of `rows`, in that order, keeping the nodes of known keys.
 * @param {Element} container All of its children are this function's.
 * @param {{key: string, signature: string, make: () => Element, update?: (node: Element) => void}[]} rows A row whose
 *   signature changed is updated, or made anew.
 */
export function reconcile(container, rows) {
  const known = new Map([...container.children].map((node) => [node.rowKey, node]));
  let place = container.firstElementChild;
  for (const { key, signature, make, update } of rows) {
    let node = known.get(key);
    known.delete(key);
    if (node && node.rowSignature !== signature && !update) {
      if (place === node) place = node.nextElementSibling;
      node.remove();
      node = undefined;
    }
    const isNew = node === undefined;
    node ??= make();
    if (update && (isNew || node.rowSignature !== signature)) update(node);
    Object.assign(node, { rowKey: key, rowSignature: signature });
    if (node === place) place = place.nextElementSibling;
    else container.insertBefore(node, place);
  }
  known.forEach((node) => node.remove());
}

/** Calls at most once per animation frame; in a hidden tab, where there are none, a little later. */
export function joined(call) {
  let isDue = false;
  const run = () => {
    if (!isDue) return;
    isDue = false;
    call();
  };
  return () => {
    if (isDue) return;
    isDue = true;
    if (document.visibilityState === "visible") requestAnimationFrame(run);
    else setTimeout(run, 200);
  };
}

const SVG = "http://www.w3.org/2000/svg";
const PATHS = {
  waiting: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM8 5v3.3l2 1.4",
  sent: "M3.5 8.6l3 3 6-7",
  delivered: "M1 8.6l3 3 6-7M7.5 11l.6.6 6-7",
  read: "M1 8.6l3 3 6-7M7.5 11l.6.6 6-7",
  failed: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM8 5v3.5M8 10.9v.2",
  send: "M2.5 8h9M7.5 3.5L12.5 8l-5 4.5",
  back: "M10 3L5 8l5 5",
  plus: "M8 3v10M3 8h10",
  group:
    "M5.5 7.5a2.25 2.25 0 1 0 0-4.5 2.25 2.25 0 0 0 0 4.5zM1.5 13c.3-2.4 1.8-3.7 4-3.7s3.7 1.300 4 3.700M10.800 7.300a2 2 0 1 0-.6-3.900M11.300 9.400c1.800.2 2.900 1.400 3.200 3.400",
  more: "M3.500 8h.01M8 8h.01M12.500 8h.01",
  close: "M4 4l8 8M12 4l-8 8",
  leave: "M6.500 3H3v10h3.500M10 5l3 3-3 3M13 8H6.500",
  down: "M3 6l5 5 5-5",
};

/** A line drawing, 16 by 16, in the text's colour; the words beside it, or `label`, say what it means. */
export function icon(name, label) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", `icon icon-${name}`);
  if (label) {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
  } else {
    svg.setAttribute("aria-hidden", "true");
  }
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** A round picture with initials, coloured by id. */
export function avatar(id, name) {
  const words = name.trim().split(/\s+/u).filter(Boolean);
  const initials = [words[0], words.length > 1 ? words.at(-1) : undefined]
    .map((word) => [...(word ?? "")][0] ?? "")
    .join("");
  return h("span", { class: "avatar", aria: { hidden: "true" }, hue: hueOf(id) }, initials.toUpperCase());
}

/** A hue in degrees that belongs to an id. */
export function hueOf(id) {
  let hash = 7;
  for (const char of id) hash = (hash * 31 + char.codePointAt(0)) % 9973;
  return hash % 360;
}
