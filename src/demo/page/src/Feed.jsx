import { useState } from 'react';
import { MARK } from './api.js';
import { useArrivals } from './arrivals.js';

const SHOWN = 14;
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });

export function Feed({ events, note }) {
  useArrivals(events);
  return (
    <aside className="feed" aria-labelledby="feed-title">
      <h2 id="feed-title">Activity</h2>
      <Composer note={note} />
      <ol>
        {(events ?? []).slice(0, SHOWN).map((event) => (
          <li key={event.id} className={`event ${event.kind}`}>
            <p>
              <strong>{event.mark === MARK ? 'You' : event.who}</strong> {event.text}
            </p>
            <time dateTime={new Date(event.at).toISOString()}>{clock.format(event.at)}</time>
          </li>
        ))}
      </ol>
    </aside>
  );
}

function Composer({ note }) {
  const [text, setText] = useState('');
  const submit = (event) => {
    event.preventDefault();
    if (text.trim()) {
      note.mutate(text);
      setText('');
    }
  };
  return (
    <form onSubmit={submit}>
      <input
        value={text}
        onChange={(event) => setText(event.target.value)}
        maxLength={200}
        placeholder="Say something"
        aria-label="Say something to the team"
      />
      <button type="submit" disabled={!text.trim()}>
        Send
      </button>
    </form>
  );
}
