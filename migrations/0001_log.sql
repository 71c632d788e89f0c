-- The log: every change in order, numbered without gaps, hashed as RFC 9162 leaves over salt || body.
-- `body` holds the bytes as they were hashed. A pruned body is null; its leaf stays.
create table log (
  number bigint primary key,
  epoch bigint not null,
  scope text collate "C" not null,
  at timestamptz not null,
  salt bytea not null,
  leaf bytea not null,
  body bytea
);
create index log_scope on log (scope, number);

-- The newest number. Whoever moves it from the number that he judged at appends; that is what orders the log across processes.
create table head (
  one boolean primary key default true check (one),
  epoch bigint not null,
  number bigint not null
);
insert into head (epoch, number) values (1, 0);

-- Signed lengths of the log. `frontier`: the right edge of the tree at that length, from which the next root follows.
create table checkpoint (
  epoch bigint not null,
  number bigint not null,
  note text not null,
  frontier text not null,
  primary key (epoch, number)
);

-- What the changes leave behind (protocol/metadata/rows.ts). Nothing is overwritten: a row is valid for positions
-- since <= n < until, and "as of n" costs a comparison.
create table record (
  kind text collate "C" not null,
  scope text collate "C" not null,
  name text collate "C" not null,
  sub text collate "C" not null,
  since bigint not null,
  until bigint,
  digest text collate "C" generated always as (case when kind = 'file' then value::json ->> 'digest' end) stored,
  value text not null
);
create unique index record_now on record (kind, scope, name, sub) where until is null;
create index record_digest on record (digest) where kind = 'file' and until is null;
create index record_past on record (kind, scope, name, sub, since) where until is not null;

-- Bytes of each scope's visible files, counted in the transaction that changes them.
create table usage (
  scope text collate "C" primary key,
  bytes bigint not null
);

-- A batch of accepted changes, appended at the position that it was judged at; false, and nothing done, when the log has grown
-- meanwhile. No rule lives here: the caller has read the rows as of that position and decided. A row written twice in a batch is
-- there twice, the first with the second's number as its end.
create function append_batch(
  expected_epoch bigint, expected_number bigint,
  numbers bigint[], scopes text[], ats timestamptz[], salts bytea[], leaves bytea[], bodies bytea[],
  closed_kinds text[], closed_scopes text[], closed_names text[], closed_subs text[], closed_at bigint[],
  kinds text[], row_scopes text[], names text[], subs text[], sinces bigint[], untils bigint[], values_ text[],
  usage_scopes text[], usage_deltas bigint[]
) returns boolean language plpgsql as $$
begin
  update head set number = numbers[cardinality(numbers)] where epoch = expected_epoch and number = expected_number;
  if not found then return false; end if;
  insert into log (number, epoch, scope, at, salt, leaf, body)
    select n, expected_epoch, s, a, sa, l, b from unnest(numbers, scopes, ats, salts, leaves, bodies) as t(n, s, a, sa, l, b);
  -- One key at a time: a join's plan would depend on what the planner believes about the table's size, and be wrong as it grows.
  for i in 1 .. cardinality(closed_at) loop
    update record set until = closed_at[i]
      where kind = closed_kinds[i] and scope = closed_scopes[i] and name = closed_names[i] and sub = closed_subs[i] and until is null;
  end loop;
  insert into record (kind, scope, name, sub, since, until, value)
    select * from unnest(kinds, row_scopes, names, subs, sinces, untils, values_);
  insert into usage as now (scope, bytes)
    select s, d from unnest(usage_scopes, usage_deltas) as t(s, d)
    on conflict (scope) do update set bytes = now.bytes + excluded.bytes;
  return true;
end $$;
