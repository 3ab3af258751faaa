// Builds each row's app as its author would ship it: bundled, minified, in production mode, with the row's packages.

import { build } from 'esbuild';
import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const packages = createRequire(`${here}package.json`);

/** Path → { type, body } of every row's page and script. */
export async function buildRows(rows) {
  const pages = new Map();
  await Promise.all(rows.map(async (row) => {
    const script = `/${row.id}.js`;
    pages.set(script, { type: 'text/javascript', body: await bundle(row.app, row) });
    pages.set(`/${row.id}`, { type: 'text/html; charset=utf-8', body: html(row, script) });
    if (row.worker) {
      pages.set('/worker.js', { type: 'text/javascript', body: await bundle(row.worker, row) });
    }
  }));
  return pages;
}

async function bundle(app, { alias = {}, loop = 'interval', backend = '' }) {
  const result = await build({
    entryPoints: [`${here}apps/${app}`],
    absWorkingDir: here,
    bundle: true,
    minify: true,
    write: false,
    format: 'iife',
    target: 'es2022',
    jsx: 'automatic',
    conditions: ['svelte'],
    alias,
    plugins: [svelte],
    define: {
      'process.env.NODE_ENV': '"production"',
      __VUE_OPTIONS_API__: 'true',
      __VUE_PROD_DEVTOOLS__: 'false',
      __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'false',
      LOOP: JSON.stringify(loop),
      BACKEND: JSON.stringify(backend),
    },
    logLevel: 'error',
  });
  return result.outputFiles[0].text;
}

/** Svelte's own compiler, as its bundler plugins call it. */
const svelte = {
  name: 'svelte',
  setup({ onLoad }) {
    const options = { generate: 'client', dev: false };
    onLoad({ filter: /\.svelte$/ }, async ({ path: filename }) => {
      const { compile } = packages('svelte/compiler');
      const { js } = compile(await readFile(filename, 'utf8'), { ...options, css: 'injected', filename });
      return { contents: js.code };
    });
    onLoad({ filter: /\.svelte\.js$/ }, async ({ path: filename }) => {
      const { compileModule } = packages('svelte/compiler');
      return { contents: compileModule(await readFile(filename, 'utf8'), { ...options, filename }).js.code };
    });
  },
};

function html({ id, body = '<div id="root"></div>' }, script) {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${id}</title>
<link rel="icon" href="data:,"></head>
<body>${body}<script src="${script}"></script></body></html>`;
}

/** `React Query 5.108.0`: a package's version as it is installed. */
export async function versionOf(name) {
  const file = `${here}node_modules/${name}/package.json`;
  return JSON.parse(await readFile(file, 'utf8')).version;
}
