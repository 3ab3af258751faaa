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

  function endLine(text) {
    if (text === '') {
      if (data !== null) onEvent(type || 'message', data);
      type = '';
      data = null;
      return;
    }
    // "If value starts with a U+0020 SPACE character, remove it from value": one, not all.
    const [, name, value] = /^([^:]*):? ?([^]*)$/.exec(text);
    if (name === 'event') type = value;
    if (name === 'data') data = data === null ? value : data + '\n' + value;
  }

  function push(text) {
    if (text === '') return;
    // A decoder made with `ignoreBOM` leaves the mark in.
    const skip = begun ? afterCr && text[0] === '\n' : text[0] === '\uFEFF';
    const rest = skip ? text.slice(1) : text;
    begun = true;
    if (rest === '') return void (afterCr = false);
    afterCr = rest.endsWith('\r');
    const lines = rest.split(/\r\n?|\n/);
    lines[0] = line + lines[0];
    line = lines.pop();
    lines.forEach(endLine);
    if (line.length + (data || '').length > LIMIT) throw new RangeError('too long');
  }

  return { push };
}
