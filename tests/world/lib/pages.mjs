// Builds the apps as their authors would ship them: bundled, minified, in production mode, with unmodified libraries.

import { build } from 'esbuild';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const apps = fileURLToPath(new URL('../apps/', import.meta.url));

/** Path → { type, body } of every file in `apps/`: its page `/<stem>` and its script `/<stem>.js`. */
export async function buildPages() {
  const result = await build({
    entryPoints: entryPoints(),
    bundle: true,
    minify: true,
    write: false,
    outdir: '/',
    format: 'iife',
    target: 'es2022',
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"production"' },
    logLevel: 'warning',
  });
  const pages = new Map();
  for (const { path, text } of result.outputFiles) {
    const stem = path.replace(/\.js$/, '');
    pages.set(path, { type: 'text/javascript', body: text });
    pages.set(stem, { type: 'text/html; charset=utf-8', body: html(stem, path) });
  }
  return pages;
}

function entryPoints() {
  const files = readdirSync(apps, { withFileTypes: true }).filter((entry) => entry.isFile());
  return files.map((entry) => apps + entry.name);
}

function html(title, script) {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title>
<link rel="icon" href="data:,"></head>
<body><div id="root"></div><script src="${script}"></script></body></html>`;
}
