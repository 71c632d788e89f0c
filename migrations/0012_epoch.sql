-- Epochs after the first: the note that each begins with (protocol/log/beginning.ts), for nodes to follow.
create table epoch (
  epoch bigint primary key,
  note text not null
);
