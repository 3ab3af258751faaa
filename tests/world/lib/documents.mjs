// Pages as a browser sees them: what is left of a document once its scripts have run.

import { generator } from './random.mjs';

/** What a browser made of a page; the same with and without Pollcast, or something changed. */
export function portrait(page) {
  return page.evaluate(() => ({
    mode: document.compatMode,
    encoding: document.characterSet,
    title: document.title,
    nodes: [...document.childNodes].map((node) =>
      node.outerHTML ?? `${node.nodeName} ${node.publicId ?? ''} ${node.data ?? ''}`),
    scripts: document.scripts.length,
    said: globalThis.said ?? [],
  }));
}

/** True if the shim came by. */
export function hasShim(frame) {
  return frame.evaluate(() => Symbol.for('pollcast') in window);
}

/** Put at the very start of a page's own first script: notes whether the shim was there before. */
export const note = '(globalThis.said ??= []).push(document.currentScript?.id ?? "none");' +
  'globalThis.late ||= !(Symbol.for("pollcast") in window);';

const parts = ['<!doctype html>', '<html>', '<html lang=en class="a>b">', '<head>', '<HEAD data-x=\'<head>\'>',
  '</head>', '<body>', '</p>', '<title>t</title>', '<title><head></title>', '<!-- <head> -->', '<!---->', '<!-->',
  '<!--->', '<!--x--!>', '<!-- <!-- -->', '<!x>', '<?xml version="1.0"?>', '</ x>', '</>', '<![CDATA[<head>]]>', ' ',
  '\n', '\t', 'x', '&amp;', '<', '<3', '&lt;head&gt;', '<meta charset=utf-8>', '<base href=/b/>', '<svg></svg>',
  '<p>y</p>', '<table>', '<template><head></template>', '<noscript><head></noscript>', '<select><option>o',
  '<frameset></frameset>', '<textarea><head></textarea>', '<style><head></style>', '<br/>', '<head/>',
  `<script id=a>${note}"<head>"</script>`, `<script id=b>${note}/*<!--*/</script>`, '<a href=x>', '<math></math>',
  '<img alt="<head>">', '<input type=hidden>', '<link rel=x href=data:,>', '<xmp><head></xmp>', '</html>', '</body>',
  '</br>', '<!--[if IE]><html class=ie><![endif]-->', '<!-- unclosed', '<head attr="unclosed', '<plaintext>'];

/** A page of random parts; the same for the same seed. */
export function soup(seed) {
  const random = generator(seed);
  const pick = (list) => list[Math.floor(random() * list.length)];
  const early = parts.slice(0, 12);
  const text = Array.from({ length: 1 + Math.floor(random() * 10) },
    (_, n) => pick(n < 3 && random() < 0.5 ? early : parts));
  return text.join('');
}
