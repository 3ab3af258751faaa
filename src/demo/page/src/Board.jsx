import { useState } from 'react';

export function Board({ lists, actions }) {
  if (!lists) {
    return <section className="board" aria-label="Board" aria-busy="true" />;
  }
  return (
    <section className="board" aria-label="Board">
      {lists.map((list, index) => (
        <Column
          key={list.id}
          list={list}
          before={lists[index - 1]}
          after={lists[index + 1]}
          actions={actions}
        />
      ))}
    </section>
  );
}

function Column({ list, before, after, actions }) {
  const [over, setOver] = useState(false);
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    const id = Number(event.dataTransfer.getData('text/plain'));
    if (id && !list.items.some((item) => item.id === id)) {
      actions.edit.mutate({ id, list: list.id });
    }
  };
  return (
    <section
      className={over ? 'column over' : 'column'}
      aria-labelledby={`list-${list.id}`}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <h2 id={`list-${list.id}`}>
        {list.title} <span className="count">{list.items.length}</span>
      </h2>
      <ul>
        {list.items.map((item) => (
          <Card key={item.id} item={item} before={before} after={after} actions={actions} />
        ))}
      </ul>
      <AddItem list={list} add={actions.add} />
    </section>
  );
}

function Card({ item, before, after, actions }) {
  const move = (to) => actions.edit.mutate({ id: item.id, list: to.id });
  return (
    <li
      className={item.done ? 'card done' : 'card'}
      draggable
      onDragStart={(event) => event.dataTransfer.setData('text/plain', String(item.id))}
    >
      <label>
        <input
          type="checkbox"
          checked={item.done}
          onChange={(event) => actions.edit.mutate({ id: item.id, done: event.target.checked })}
        />
        <span className="title">{item.title}</span>
      </label>
      <div className="foot">
        <span className="by">{item.by}</span>
        <span className="tools">
          <Tool item={item} sign="←" to={before} act={move} />
          <Tool item={item} sign="→" to={after} act={move} />
          <button
            type="button"
            title="Delete"
            aria-label={`Delete “${item.title}”`}
            onClick={() => actions.remove.mutate(item.id)}
          >
            ×
          </button>
        </span>
      </div>
    </li>
  );
}

function Tool({ item, sign, to, act }) {
  if (!to) return null;
  return (
    <button
      type="button"
      title={`To ${to.title}`}
      aria-label={`Move “${item.title}” to ${to.title}`}
      onClick={() => act(to)}
    >
      {sign}
    </button>
  );
}

function AddItem({ list, add }) {
  const [title, setTitle] = useState('');
  const submit = (event) => {
    event.preventDefault();
    if (title.trim()) {
      add.mutate({ list: list.id, title });
      setTitle('');
    }
  };
  return (
    <form onSubmit={submit}>
      <input
        value={title}
        onChange={(event) => setTitle(event.target.value)}
        maxLength={200}
        placeholder="Add a card"
        aria-label={`Add a card to ${list.title}`}
      />
      <button type="submit" disabled={!title.trim()}>
        Add
      </button>
    </form>
  );
}
