// `docs/COMPATIBILITY.md`, written from what the matrix has seen.

import { versionOf } from './build.mjs';

const front = `# Compatibility

Pollcast is meant to work unnoticed whatever an app is built with. This page is written by a test that
builds each app below as its author would ship it, with unmodified libraries, and runs it in a real
browser twice: with Pollcast and without. Both live through the same story: the list is polled, somebody
else changes it, the app writes itself, the origin fails, connections are refused and the proxy is killed,
all comes back. \`UPDATE=1 node --test tests/world/matrix.test.mjs\` writes it anew; without that, a
page that doesn't say what was seen fails the test.

| column | means |
|---|---|
| polls stop | the app polls on, and nothing of it leaves the page, but for a renewal now and then |
| a change shows | who makes the app look as soon as the origin's answer has changed: see below |
| own writes | what the app wrote and read back is never followed by what was before |
| fallback | while the origin fails, or nobody listens, the app sees that; afterwards its data; polls stop again |
| same behaviour | states, events, errors, renders of the app are those without Pollcast |
| browsers | where this was seen |

- **own refresh**: the library is asked to refresh the queries that show the changed URL, and those only.
- **its timer**: the timer that polls the URL is run early, with whatever else it does.
- **next look**: nothing can be run early; the app's next poll shows the change, answered in the page.
- **as without**: left to the network, as if Pollcast weren't there.

Same behaviour means: the values that the app shows, one after the other; every combination of flags that
it renders (status, loading, fetching, stale and the like); what each request looked like to the app,
down to its events, fields and error objects, for good answers, for a 500 and for a refused connection;
unhandled errors; and renders for each look at an unchanged list. States that last only while a request
is on its way are missing where no request is: a list that is looked at every two seconds doesn't flicker
\`isFetching\` every two seconds. That, and that changes show sooner, is all that differs, but for what
is listed below the table.
`;

const ways = { library: 'own refresh', timer: 'its timer', tick: 'next look', network: 'as without' };
const word = (good) => (good ? 'yes' : '**no**');

/** The whole page; `verdicts`: row id → verdict. */
export async function page(rows, verdicts) {
  const lines = [front, '| app | polls stop | a change shows | own writes | fallback | same behaviour | browsers |',
    '|---|---|---|---|---|---|---|'];
  for (const row of rows) lines.push(await line(row, verdicts.get(row.id)));
  const known = rows.filter((row) => row.known);
  if (known.length) lines.push('', '## Known differences', '');
  for (const row of known) {
    for (const { reason } of row.known) lines.push(`- ${await title(row)}: ${reason}`);
  }
  return `${lines.join('\n')}\n`;
}

async function line(row, { stops, by, writes, fallback, same }) {
  const alike = same && row.known ? 'yes, but for what is below' : word(same);
  // Polls of what is left alone aren't meant to stop.
  const still = by === 'network' && row.by === 'network' ? 'no' : word(stops);
  const browsers = row.firefox ? 'Chromium, Firefox' : 'Chromium';
  const cells = [await title(row), still, ways[by] ?? '**?**', word(writes), word(fallback), alike, browsers];
  return `| ${cells.join(' | ')} |`;
}

async function title({ parts }) {
  const names = await Promise.all(parts.map(async ([name, from]) =>
    (from ? `${name} ${await versionOf(from)}` : name)));
  return names.join(', ');
}
