// Reads server-sent events from text that arrives in pieces: the HTML standard, "Parsing an event
// stream".
//
// A line ends with CRLF, LF or CR, and may be cut anywhere, between CR and LF too. An event
// without a data line is none. `id` and `retry` are ignored: this protocol resumes by state hash,
// and says in `bye` when to come back.
//
// push() throws once a line or an event passes the limit, as a failed read would: the caller's one
// answer to both is to leave this stream and reconnect. Otherwise a server gone wrong would fill
// the page's memory.
function createSseParser(onEvent) {
  const LIMIT = 8 * 1024 * 1024;
  let begun = false;
  let afterCr = false;
  let line = '';
  let type = '';
  let data = null;

  function field(name, value) {
    if (name === 'event') type = value;
    if (name !== 'data') return;
    data = data === null ? value : data + '\n' + value;
    if (data.length > LIMIT) throw new RangeError('an event is too long');
  }

  function endLine() {
    const text = line;
    line = '';
    if (text === '') {
      const [name, value] = [type || 'message', data];
      type = '';
      data = null;
      if (value !== null) onEvent(name, value);
      return;
    }
    const colon = text.indexOf(':');
    if (colon < 0) field(text, '');
    // "If value starts with a U+0020 SPACE character, remove it from value": one, not all.
    const start = text[colon + 1] === ' ' ? colon + 2 : colon + 1;
    if (colon > 0) field(text.slice(0, colon), text.slice(start));
  }

  function push(text) {
    if (text === '') return;
    let at = 0;
    // A decoder made with `ignoreBOM` leaves the mark in.
    if (!begun && text[0] === '\uFEFF') at = 1;
    begun = true;
    if (afterCr && text[at] === '\n') at += 1;
    if (at < text.length) afterCr = false;
    // Looked up again only once passed: most streams have no CR, and a search per line would run
    // to the end of the text.
    let cr = text.indexOf('\r', at);
    let lf = text.indexOf('\n', at);
    for (;;) {
      if (cr >= 0 && cr < at) cr = text.indexOf('\r', at);
      if (lf >= 0 && lf < at) lf = text.indexOf('\n', at);
      const end = cr >= 0 && (lf < 0 || cr < lf) ? cr : lf;
      line += end < 0 ? text.slice(at) : text.slice(at, end);
      if (line.length > LIMIT) throw new RangeError('a line is too long');
      if (end < 0) return;
      at = end + 1;
      if (end === cr) {
        if (at === text.length) afterCr = true;
        else if (text[at] === '\n') at += 1;
      }
      endLine();
    }
  }

  return { push };
}
