// What the apps have in common: components that can be taken away, and what tests want to know.
import { createElement as h, useState } from 'react';

export const load = (url) => fetch(url).then((answer) => answer.json());

/** A part of the page that goes when `window.hide(url)` is called. */
export function Part({ as, url, ...rest }) {
  const [shown, setShown] = useState(true);
  hiding[url] = () => setShown(false);
  return shown ? h(as, { url, ...rest }) : null;
}

export function Output({ url, data, fetching, again }) {
  asking[url] = again;
  window.renders.push({ url, fetching, n: data && data.n });
  return h('output', { id: url }, data ? data.n : '');
}

const hiding = {};
const asking = {};

window.renders = [];
window.hide = (url) => hiding[url]();
/** The app asks by itself, as after a click. */
window.again = (url) => void asking[url]();
