import { ARRIVALS_MAX, useMeter } from './meter.js';

/** The top of the bars, in milliseconds: polling every two seconds at its worst, and a bit. */
const BAR_TOP_MS = 2200;

export function Meter() {
  const meter = useMeter();
  const last = meter.arrivals.at(-1);
  return (
    <section className="meter" aria-label="What this page measures">
      <Figure
        label="Network requests"
        value={meter.network}
        unit=""
        hint={`${meter.networkRate} in the last 30 s`}
        tone={meter.networkRate === 0 ? 'quiet' : ''}
      />
      <Figure
        label="Polls answered"
        value={meter.answered}
        unit=""
        hint={`${meter.answeredRate} in the last 30 s`}
      />
      <Figure
        label="Last change arrived after"
        value={last ? last.ms : '–'}
        unit={last ? 'ms' : ''}
        hint={last ? medianText(meter.arrivals) : 'none yet'}
      />
      <Bars arrivals={meter.arrivals} />
    </section>
  );
}

function Figure({ label, value, unit, hint, tone }) {
  return (
    <div className={tone ? `figure ${tone}` : 'figure'}>
      <h2>{label}</h2>
      <p className="value">
        {typeof value === 'number' ? value.toLocaleString() : value}
        {unit && <small> {unit}</small>}
      </p>
      <p className="hint">{hint}</p>
    </div>
  );
}

function Bars({ arrivals }) {
  const width = 10;
  const height = 56;
  const text = arrivals.length
    ? `The last arrivals, in milliseconds: ${arrivals.map((arrival) => arrival.ms).join(', ')}`
    : 'No change has arrived yet';
  const free = ARRIVALS_MAX - arrivals.length;
  return (
    <div className="figure bars">
      <h2>Arrivals, newest right</h2>
      <svg
        viewBox={`0 0 ${ARRIVALS_MAX * width} ${height}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={text}
      >
        {[0, 0.5, 1].map((part) => (
          <line
            key={part}
            x1="0"
            x2={ARRIVALS_MAX * width}
            y1={height - (2000 * part * height) / BAR_TOP_MS}
            y2={height - (2000 * part * height) / BAR_TOP_MS}
          />
        ))}
        {arrivals.map((arrival, index) => {
          const tall = Math.max(2, (Math.min(arrival.ms, BAR_TOP_MS) / BAR_TOP_MS) * height);
          return (
            <rect
              key={arrival.id}
              x={(free + index) * width + 2}
              y={height - tall}
              width={width - 4}
              height={tall}
              className={arrival.ms > 500 ? 'slow' : ''}
            >
              <title>{`${arrival.ms} ms`}</title>
            </rect>
          );
        })}
      </svg>
      <p className="hint">lines at 0, 1 and 2 s</p>
    </div>
  );
}

function medianText(arrivals) {
  const sorted = arrivals.map((arrival) => arrival.ms).sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median =
    sorted.length % 2 ? sorted[middle] : Math.round((sorted[middle - 1] + sorted[middle]) / 2);
  return `median of ${sorted.length}: ${median.toLocaleString()} ms`;
}
