import { useActions, useBoard, useEvents } from './api.js';
import { Board } from './Board.jsx';
import { Feed } from './Feed.jsx';
import { Meter } from './Meter.jsx';

export function App() {
  const board = useBoard();
  const events = useEvents();
  const actions = useActions();
  const failed = [actions.add, actions.edit, actions.remove, actions.note].find((a) => a.isError);
  const problem = failed?.error ?? board.error ?? events.error;
  return (
    <>
      <header className="top">
        <h1>Team board</h1>
        <p>Asks the server for the board and the feed every two seconds.</p>
      </header>
      <Meter />
      <p className="problem" role="status">
        {problem ? `That didn’t work: ${problem.message}` : ''}
      </p>
      <main>
        <Board lists={board.data?.lists} actions={actions} />
        <Feed events={events.data?.events} note={actions.note} />
      </main>
    </>
  );
}
